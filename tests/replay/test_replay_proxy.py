"""Dumps of iptables and the answers of pods, in a recording of Services of every kind: predicted, and
forgeries told.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import zstandard

from k8sfsm.law import Law
from k8sfsm.trace.errors import TraceError
from k8sfsm.trace.history import Recording
from k8sfsm.trace.proxied import read_dumps, read_traffic
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.replay import replay
from k8sfsm.verify.replay.compare import Divergence
from k8sfsm.verify.replay.predict import initial_versions, predict
from k8sfsm.verify.replay.proxying import Answer, compare_proxy
from k8sfsm.verify.replay.tracks import Version

RECORDING = Path(__file__).parents[1] / "data" / "recordings" / "15a-services"


@lru_cache(maxsize=1)
def predicted() -> tuple[Recording, tuple[Version, ...]]:
    recording = read_history(RECORDING)
    return recording, (*initial_versions(recording), *predict(recording).versions())


def judged(folder: Path) -> list[Divergence]:
    return compare_proxy(read_history(folder), predicted()[1])[0]


def test_the_recording_agrees() -> None:
    verdict = replay(predicted()[0])
    assert verdict.agrees, verdict.divergences[:3]
    assert verdict.compared["proxy"] == 18 + 140


def test_what_is_read() -> None:
    recording = predicted()[0]
    dumps, traffic = read_dumps(recording), read_traffic(recording)
    assert [dump.checkpoint for dump in dumps][:2] == ["00-no-services", "01-clusterip"]
    assert all(set(dump.texts) == {"nat", "filter"} for dump in dumps)
    assert (traffic[1].host, traffic[1].port, sum(traffic[1].counts.values())) == ("10.96.218.107", 9100, 12)
    assert traffic[5].source == "10.10.0.2"
    assert read_dumps(read_history(RECORDING.parent / "02-scale")) == ()
    assert read_traffic(read_history(RECORDING.parent / "02-scale")) == ()


def forged(tmp_path: Path, name: str, change: Callable[[str], str]) -> Path:
    """The recording with one file changed."""
    folder = tmp_path / "forged"
    shutil.copytree(RECORDING, folder)
    path = folder / f"{name}.zst"
    with path.open("rb") as stream:
        text = zstandard.ZstdDecompressor().stream_reader(stream).read().decode()
    path.unlink()
    changed = change(text)
    assert changed != text
    (folder / name).write_text(changed)
    return folder


DUMP = "iptables-03-nodeport-nat.txt"


@pytest.mark.parametrize(
    ("name", "old", "new", "aspect"),
    [
        (DUMP, "--dport 30893 -j KUBE-EXT", "--dport 30894 -j KUBE-EXT", "KUBE-NODEPORTS"),
        (DUMP, ":KUBE-EXT-E6GTSEMN732DULEL - [0:0]", ":KUBE-EXT-E6GTSEMN732DULEL - [0:0]\n:KUBE-EXT-AAAAAAAAAAAAAAAA - [0:0]", "KUBE-EXT-AAAAAAAAAAAAAAAA"),  # noqa: E501
        (DUMP, "-j DNAT --to-destination 10.244.2.2:8080", "-j DNAT --to-destination 10.244.2.3:8080", "KUBE-SEP-"),
        (DUMP, "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000", "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x8000/0x8000", "KUBE-MARK-MASQ"),  # noqa: E501
        ("iptables-14-web-scaled-to-0-filter.txt", "15a-services/np has no endpoints", "15a-services/np has no local endpoints", "KUBE-"),  # noqa: E501
        ("iptables-00-no-services-filter.txt", "-A INPUT -j KUBE-FIREWALL\n", "", "INPUT"),
    ],
)  # fmt: skip
def test_a_forged_dump_is_told(name: str, old: str, new: str, aspect: str, tmp_path: Path) -> None:
    found = judged(forged(tmp_path, name, lambda text: text.replace(old, new, 1)))
    assert found and all(each.key[2] == name.removeprefix("iptables-").removesuffix(".txt") for each in found)
    assert any(each.aspect.startswith(aspect) for each in found), [each.aspect for each in found]


def test_two_rules_in_another_order_are_told(tmp_path: Path) -> None:
    def swapped(text: str) -> str:
        lines = text.splitlines()
        place = next(n for n, line in enumerate(lines) if line.startswith("-A KUBE-SEP-"))
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
        return "\n".join(lines) + "\n"

    (found,) = judged(forged(tmp_path, DUMP, swapped))
    assert "the same rules in another order" in str(found)


def answer_by(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"web-7bcb4fb9ff-xcmfg": 20', '"other-65fc49ccc5-tlh9g": 20'),
        ('"web-7bcb4fb9ff-xcmfg": 20', '"curl-exit-7": 20'),
        ('"counts": {"curl-exit-7": 2}', '"counts": {"web-7bcb4fb9ff-xcmfg": 2}'),
        ('"counts": {"curl-exit-28": 1}', '"counts": {"other-65fc49ccc5-tlh9g": 1}'),
        ('"counts": {"web-7bcb4fb9ff-kkktp": 10}', '"counts": {"web-7bcb4fb9ff-kkktp": 9, "web-7bcb4fb9ff-xcmfg": 1}'),
        ('"counts": {"web-7bcb4fb9ff-xcmfg": 20, "web-7bcb4fb9ff-59s4z": 8, "web-7bcb4fb9ff-kkktp": 12}', '"counts": {"web-7bcb4fb9ff-xcmfg": 28, "web-7bcb4fb9ff-kkktp": 12}'),  # noqa: E501
    ],
)  # fmt: skip
def test_a_forged_answer_is_told(old: str, new: str, tmp_path: Path) -> None:
    found = judged(forged(tmp_path, "traffic.jsonl", answer_by(old, new)))
    assert found and all(each.key[0] == "Traffic" for each in found)
    assert "traffic.jsonl:" in str(found[0])


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer("a", 1, 10, 0.0), "divergence"),
        (Answer("a", 1, 10, 0.1), "agreement"),
        (Answer("a", 0, 10, 0.0), "agreement"),
        (Answer("a", 0, 120, 0.1), "divergence"),
        (Answer("a", 0, 119, 0.1), "agreement"),
        (Answer("a", 0, 120, 0.1, kept=True, others=1), "agreement"),
        (Answer("a", 5, 10, 0.5, kept=True, others=2), "divergence"),
        (Answer("a", 10, 10, 0.5, kept=True, others=1), "agreement"),
        (Answer("a", 5, 10, 0.5, others=2), "agreement"),
    ],
)
def test_answers(answer: Answer, verdict: str) -> None:
    assert Law("replay").decide("answer", answer).outputs["verdict"] == verdict


def test_damaged_members(tmp_path: Path) -> None:
    folder = forged(
        tmp_path, "traffic.jsonl", lambda text: text.replace('"url": "http://10.96.11.93/"', '"url": "nonsense"', 1)
    )
    with pytest.raises(TraceError, match="expected ts and a url"):
        judged(folder)
    (folder / "iptables-99-unknown-nat.txt").write_text("*nat\nCOMMIT\n")
    with pytest.raises(TraceError, match="not known when this was dumped"):
        judged(folder)
    (folder / "checkpoint-99-unknown.json").write_text(json.dumps({"ts": "2026-11-23T04:09:50Z"}))
    assert read_dumps(read_history(folder))[-1].checkpoint == "99-unknown"
