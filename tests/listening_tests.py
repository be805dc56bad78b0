"""Listening tests of noise, and systems for them, that several files use."""

from evaluation_fakes import open_faulty, write_clip
from semanticodec.evaluation.suites import open_suite
from semanticodec.listening.build import BuildSettings, build
from semanticodec.listening.plan import ABX
from semanticodec.listening.session import Test

SYSTEMS = ("ground-truth:name=one", "faulty:name=half")
LISTENER = "0123456789abcdef" * 2


def write_suite(folder, domains=("music", "speech"), clips=3):
    """Write `clips` recordings of half a second for each domain."""
    for domain in domains:
        for index in range(clips):
            write_clip(folder / domain / f"{index}.wav", seed=index)
    return folder


def make_test(folder, **settings):
    """Return a test of six clips of two domains, one of them for training."""
    suite = open_suite(write_suite(folder / "clips"))
    options = {"training_clip": "music/0", **settings}
    if options.get("mode") == ABX:
        options.setdefault("anchors", ())
    build(suite, SYSTEMS, folder / "test", BuildSettings(**options), open_system=open_faulty)
    return Test.open(folder / "test")
