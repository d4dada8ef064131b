"""The one error of the native stack."""


class StackError(Exception):
    """The stack did not do what was asked of it; the text is one clear line."""
