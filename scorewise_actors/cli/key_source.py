"""Where the key of the journals comes from, and whether it is there, without making one."""

import os

from scorewise_actors.checkpoints.keys import KEY_VARIABLE, key_file


def key_source() -> str:
    """The variable that holds the key, or the path of the key file, which need not be there yet."""
    return KEY_VARIABLE if os.environ.get(KEY_VARIABLE) else str(key_file())


def key_exists() -> bool:
    """Whether there is a key to try; otherwise the first job to be sealed makes one."""
    return key_source() == KEY_VARIABLE or key_file().exists()
