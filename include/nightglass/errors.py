"""Errors that Nightglass can explain in one line: what was expected, what came, and where."""


class NightglassError(Exception):
    """Base of every error that is the user's or the world's, not a bug; its text is one clear line."""

    #: True when trying again later can help (a network that is down), False when a person must act.
    can_heal = False


class InputError(NightglassError):
    """An argument, folder or file is not what it should be."""


class ConfigurationError(InputError):
    """A collection's file or a setting is wrong."""


class ModelError(NightglassError):
    """A detector cannot be found, loaded or fitted."""


class ChampionChangedError(ModelError):
    """There is another champion by now than the one that a challenger was compared with."""


class StorageError(NightglassError):
    """A store, bucket or database does not answer; it may later."""

    can_heal = True


class AccessDeniedError(StorageError):
    """A store answered and said no, or the disk is full: a person must act."""

    can_heal = False


class FolderIncompleteError(NightglassError):
    """A night's folder was not complete before its deadline."""


class ValidationFailedError(NightglassError):
    """A night's data failed a critical expectation; nothing is scored."""
