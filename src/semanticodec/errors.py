"""The exceptions that users meet; each message says what came, what is allowed and what to do."""

MOST_CHARACTERS = 200


def told(value: object) -> str:
    """Return a value as messages tell it: in one line, arrays by their shape and type."""
    is_array = not getattr(value, "is_nested", False) and hasattr(value, "shape")
    if is_array and hasattr(value, "dtype"):
        return f"{type(value).__name__} of shape {list(value.shape)} and type {value.dtype}"  # type: ignore[attr-defined]
    text = repr(value)
    if "\n" in text or len(text) > MOST_CHARACTERS:
        return f"of type {type(value).__name__}"
    return text


class SemantiCodecError(Exception):
    """Base of every error that a wrong input, file or setting causes."""


class AudioError(SemantiCodecError, ValueError):
    """Audio that cannot be read or encoded (empty, NaN, too short, not audio)."""


class CodesError(SemantiCodecError, ValueError):
    """Codes that do not fit the model, or a layout that does not hold codes."""


class ConfigError(SemantiCodecError, ValueError):
    """A setting that no model or command offers."""


class CheckpointError(SemantiCodecError, RuntimeError):
    """A weight file that is missing, damaged, unsafe or of another model."""


class ContainerError(SemantiCodecError, ValueError):
    """Bytes that are not a valid `.smtc` stream."""


class DataError(SemantiCodecError, ValueError):
    """A training or evaluation set that cannot be used."""


class OutputError(SemantiCodecError, OSError):
    """A result that cannot be written (permissions, space, names, closed streams)."""


class OutputExistsError(OutputError, FileExistsError):
    """A file that was not to be replaced appeared while the result for it was made."""


class MissingDependencyError(SemantiCodecError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""
