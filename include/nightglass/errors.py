"""Errors that Nightglass can explain in one line: what was expected, what came, and where."""

from nightglass.plain_text import write_out


class NightglassError(Exception):
    """Base of every error that is the user's or the world's, not a bug; its text is one clear line."""

    #: True when trying again later can help (a network that is down), False when a person must act.
    can_heal = False

    def __str__(self) -> str:
        """Return the text in one line; it may name files whose names would break or fake lines of a log."""
        return write_out(super().__str__())


class InputError(NightglassError):
    """An argument, folder or file is not what it should be."""


class ConfigurationError(InputError):
    """A collection's file or a setting is wrong."""


class ModelError(NightglassError):
    """A detector cannot be found, loaded or fitted."""


class ChampionChangedError(ModelError):
    """There is another champion by now than the one that a challenger was compared with."""


class StorageError(NightglassError):
    """A store, bucket or database does not answer, or the disk is full; it may later, or on another machine."""

    can_heal = True


class AccessDeniedError(StorageError):
    """A store answered and said no: a person must act."""

    can_heal = False


class FolderIncompleteError(NightglassError):
    """A night's folder was not complete before its deadline."""


class ValidationFailedError(NightglassError):
    """A night's data failed a critical expectation; nothing is scored."""
