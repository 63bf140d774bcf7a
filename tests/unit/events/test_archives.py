"""Archives: taken only with the published MD5, unpacked whole, and downloads that go on where they stopped."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import event_files as files
import pytest

from saccade.data.events import event_set
from saccade.data.events.archives import download, download_all, unpack_all
from saccade.data.events.sets import Archive


@pytest.fixture
def zipped(tmp_path):
    """N-MNIST as an archive, and a set that knows its hash."""
    files.nmnist_tree(tmp_path / "source")
    archives = []
    for part in ("Train", "Test"):
        path = tmp_path / f"{part}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted((tmp_path / "source/NMNIST" / part).rglob("*.bin")):
                archive.write(file, file.relative_to(tmp_path / "source/NMNIST"))
        archives.append(Archive(path.name, hashlib.md5(path.read_bytes()).hexdigest()))
    return replace(event_set("nmnist"), archives=tuple(archives)), tmp_path


@pytest.mark.parametrize("place", ["NMNIST", "NMNIST/download"])
def test_archives_are_unpacked_once(zipped, place):
    chosen, source = zipped
    root = source / "root"
    (root / place).mkdir(parents=True)
    for archive in chosen.archives:
        (source / archive.name).rename(root / place / archive.name)
    assert [path.name for path in unpack_all(chosen, root)] == ["Train.zip", "Test.zip"]
    assert len(chosen.recordings(root).recordings) == 60
    assert unpack_all(chosen, root) == []


def test_an_archive_that_is_not_the_published_one_is_refused(zipped):
    chosen, source = zipped
    root = source / "root"
    (root / "NMNIST").mkdir(parents=True)
    for content in (b"", (source / "Train.zip").read_bytes()[:-1]):
        (root / "NMNIST/Train.zip").write_bytes(content)
        with pytest.raises(ValueError, match=r"Train\.zip has .* bytes and MD5"):
            unpack_all(chosen, root)
    assert not (root / "NMNIST/Train").exists()


CONTENT = bytes(range(256)) * 5000
ARCHIVE = Archive("a.zip", hashlib.md5(CONTENT).hexdigest())


class Host(BaseHTTPRequestHandler):
    """Answers like a host with a file; `behaviour` of the server says how well."""

    def do_GET(self):
        behaviour = self.server.behaviour
        if behaviour == "refuse":
            return self.send_error(403)
        body, status = CONTENT, 200
        if behaviour == "empty":
            body = b""
        elif "Range" in self.headers and behaviour != "no ranges":
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(CONTENT):
                return self.send_error(416)
            body, status = CONTENT[start:], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.server.sent.append(len(body))
        self.wfile.write(body[: len(body) // 2] if behaviour == "break off" else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def host():
    server = HTTPServer(("127.0.0.1", 0), Host)
    server.behaviour, server.sent = "good", []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def archive_at(host):
    return replace(ARCHIVE, url=f"http://127.0.0.1:{host.server_port}/a.zip")


def test_download(host, tmp_path):
    calls = []
    download(archive_at(host), tmp_path / "a.zip", lambda *call: calls.append(call))
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert calls[-1] == ("a.zip", len(CONTENT), len(CONTENT))
    assert list(tmp_path.iterdir()) == [tmp_path / "a.zip"]


@pytest.mark.parametrize("behaviour", ["good", "no ranges"])
def test_a_download_that_breaks_off_goes_on(host, tmp_path, behaviour):
    host.behaviour = "break off"
    with pytest.raises(OSError, match="broke off after 640,000 of 1,280,000 bytes"):
        download(archive_at(host), tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    host.behaviour = behaviour
    download(archive_at(host), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert host.sent[-1] == (len(CONTENT) // 2 if behaviour == "good" else len(CONTENT))


def test_a_download_that_is_complete_but_not_yet_named(host, tmp_path):
    (tmp_path / "a.zip.partial").write_bytes(CONTENT)
    download(archive_at(host), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", ["refuse", "empty"])
def test_a_refused_download_says_which_files_go_where(host, tmp_path, behaviour):
    host.behaviour = behaviour
    chosen = replace(event_set("cifar10-dvs"), archives=(archive_at(host),))
    with pytest.raises(FileNotFoundError, match=r"a\.zip could not be downloaded") as refusal:
        download_all(chosen, tmp_path)
    assert f"a.zip  MD5 {ARCHIVE.md5}" in str(refusal.value)
    assert not (tmp_path / "CIFAR10DVS/a.zip").exists()


def test_a_set_without_links_has_to_be_fetched_by_hand(tmp_path):
    with pytest.raises(FileNotFoundError, match="by hand"):
        download_all(event_set("dvs128-gesture"), tmp_path)
