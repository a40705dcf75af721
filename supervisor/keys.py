"""The keys of this user on this machine: who we are, whom we let in, whom we trust.

    $UNDERSTUDY_KEYS, or ~/.config/understudy/keys       0700, ours, no symbolic link
    ├── identity     0600   our key pair: what we show as a server and as a client
    ├── allowed             who may join our systems:   KEY ROLE NAME
    └── servers             whose systems we join:      ENDPOINT KEY

A public key is 52 letters and digits (the 32 bytes in base 32), so it survives being selected,
mailed and pasted into a shell.  Files are text, a line each, `#` begins a comment.  They are
replaced as a whole, so whoever reads meanwhile sees the old or the new one; a file that others
could have written is refused.  Two who change one at the same time do so in turn.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
import stat
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, final

import attrs

from actors.errors import AccessDenied
from supervisor.roles import Role

_TEXT: Final = re.compile(r"[a-z2-7]{52}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_LARGEST: Final = 1 << 20


def key_text(key: bytes) -> str:
    """Return a public key as 52 letters and digits."""
    return base64.b32encode(key).decode("ascii").rstrip("=").lower()


def parse_key(text: str) -> bytes:
    """Return the key that `text` means; raises `ValueError` for anything else."""
    if not _TEXT.fullmatch(text if isinstance(text, str) else ""):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(
            f"{text!r:.60} is no key: a public key is 52 letters and digits, as "
            "`understudy keys show` prints it"
        )
    return base64.b32decode(text.upper() + "====")


@attrs.frozen
class KeyPair:
    """A CURVE key pair; the secret half is never printed."""

    public: bytes
    secret: bytes = attrs.field(repr=False)


@attrs.frozen
class Allowed:
    """A key that may join."""

    key: bytes
    role: Role
    name: str


def keys_directory() -> Path:
    """Return where the keys of this user are."""
    given = os.environ.get("UNDERSTUDY_KEYS")
    if given:
        return Path(given)
    config = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(config) if config.startswith("/") else Path.home() / ".config"
    return base / "understudy" / "keys"


@final
class KeyRing:
    """The files of one directory.

    Every method raises `AccessDenied` when a file or the directory could have been written, or a
    secret read, by somebody else.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or keys_directory()
        self.allowed_path = self.directory / "allowed"
        self._identity_path = self.directory / "identity"
        self._servers_path = self.directory / "servers"

    # --- who we are

    def identity(self) -> KeyPair | None:
        """Return our key pair; None when there is none yet."""
        fields = dict(self._lines(self._identity_path, words=2, secret=True))
        if not fields:
            return None
        try:
            return KeyPair(parse_key(fields["public"]), parse_key(fields["secret"]))
        except (KeyError, ValueError):
            raise AccessDenied(
                reason=f"{self._identity_path} is damaged; remove it and run `understudy keys init`"
            ) from None

    def keep_identity(self, pair: KeyPair) -> KeyPair:
        """Make `pair` our identity unless there is one already; return the one that holds."""
        text = f"public {key_text(pair.public)}\nsecret {key_text(pair.secret)}\n"
        self._write(self._identity_path, text, replace=False)
        found = self.identity()
        assert found is not None
        return found

    # --- whom we let in

    def allowed(self) -> dict[bytes, Allowed]:
        """Return who may join, by key."""
        found: dict[bytes, Allowed] = {}
        for key, role, name in self._lines(self.allowed_path, words=3):
            try:
                entry = Allowed(parse_key(key), Role(role), name)
            except ValueError as error:
                raise AccessDenied(reason=f"{self.allowed_path}: {error}") from None
            found[entry.key] = entry
        return found

    def allow(self, key: bytes, *, name: str, role: Role) -> None:
        """Let a key in, or change its role; a name stands for one key."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a key: use letters, digits, `_`, `.`, `-`")
        with self._alone():
            entries = self.allowed()
            if any(entry.name == name and entry.key != key for entry in entries.values()):
                raise ValueError(f"{name} is the name of another key; revoke that one first")
            self._write_allowed([*_without(entries, key), Allowed(key, role, name)])

    def revoke(self, which: str) -> Allowed:
        """Let a key in no more, given its name or its text; raises `ValueError` for neither."""
        with self._alone():
            entries = self.allowed()
            for entry in entries.values():
                if which in (entry.name, key_text(entry.key)):
                    self._write_allowed(_without(entries, entry.key))
                    return entry
        known = ", ".join(sorted(entry.name for entry in entries.values())) or "none"
        raise ValueError(f"no key {which!r} is allowed; there are: {known}")

    def _write_allowed(self, entries: Iterable[Allowed]) -> None:
        lines = [f"{key_text(entry.key)} {entry.role} {entry.name}\n" for entry in entries]
        self._write(self.allowed_path, "".join(lines))

    # --- whom we trust

    def server(self, endpoint: str) -> bytes | None:
        """Return the key that the system at `endpoint` must have; None when nobody said."""
        for known, key in self._lines(self._servers_path, words=2):
            if known == endpoint:
                try:
                    return parse_key(key)
                except ValueError as error:
                    raise AccessDenied(reason=f"{self._servers_path}: {error}") from None
        return None

    def trust(self, endpoint: str, key: bytes) -> None:
        """Remember the key of the system at `endpoint`."""
        with self._alone():
            known = self._lines(self._servers_path, words=2)
            lines = [*(line for line in known if line[0] != endpoint), [endpoint, key_text(key)]]
            self._write(self._servers_path, "".join(" ".join(line) + "\n" for line in lines))

    # --- files

    def _lines(self, path: Path, *, words: int, secret: bool = False) -> list[list[str]]:
        try:
            with open(path, "rb", opener=_no_link) as file:
                _check_private(path, os.fstat(file.fileno()), secret=secret)
                # Whoever may write here may put another file in its place.
                _check_private(self.directory, self.directory.stat(), secret=False)
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return []
        except AccessDenied:
            raise
        except OSError as error:
            raise AccessDenied(reason=f"{path} cannot be read: {error.strerror}") from error
        if len(data) > _LARGEST:
            raise AccessDenied(reason=f"{path} has more than {_LARGEST:,} bytes, so it is no list")
        text = data.decode("utf-8", "replace")
        lines = [line.split("#")[0].split() for line in text.splitlines()]
        for number, line in enumerate(lines, 1):
            if line and len(line) != words:
                raise AccessDenied(reason=f"{path}, line {number}: {words} words belong there")
        return [line for line in lines if line]

    def _write(self, path: Path, text: str, *, replace: bool = True) -> None:
        self._make_directory()
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            if replace:
                fresh.replace(path)
            else:
                with suppress(FileExistsError):
                    os.link(fresh, path)  # unlike a rename, it leaves what is there
        finally:
            fresh.unlink(missing_ok=True)

    def _make_directory(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(self.directory, self.directory.lstat(), secret=True)

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Let nobody else change a file between our reading it and our writing it."""
        self._make_directory()
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _no_link(path: str, flags: int) -> int:
    # Without O_NONBLOCK a FIFO there would be waited for, for ever.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)


def _without(entries: dict[bytes, Allowed], key: bytes) -> list[Allowed]:
    return [entry for entry in entries.values() if entry.key != key]


def _check_private(path: Path, found: os.stat_result, *, secret: bool) -> None:
    wrong, mend = "", ""
    if stat.S_ISLNK(found.st_mode):
        wrong, mend = "is a symbolic link", f"replace it by what it points to: {path}"
    elif not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        wrong, mend = "is no file", f"rm {path}"
    elif found.st_uid not in (os.geteuid(), 0):
        wrong, mend = f"belongs to user {found.st_uid}", f"chown {os.geteuid()} {path}"
    elif found.st_mode & (0o077 if secret else 0o022):
        mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
        wrong = f"is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
        mend = f"chmod {mode} {path}"
    if wrong:
        raise AccessDenied(reason=f"{path} {wrong}; keys in it cannot be trusted. Run: {mend}")
