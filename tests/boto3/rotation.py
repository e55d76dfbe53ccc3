"""The keys file is replaced while clients with its keys ask."""

import os
import signal
import threading
from pathlib import Path

from botocore.exceptions import ClientError

from shared import PID, TestCase, client, eventually

FILE = Path(os.environ["MODELCELL_KEYS_FILE"])
OLD = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
NEW = ("MODELCELLROTATED0001", "the-secret-after-the-rotation")
STAYS = ("MODELCELLSTAYS000001", "a-secret-that-always-stays")


def replace(text):
    """Replaces the file as a whole, and has the server read it."""
    new = FILE.with_suffix(".new")
    new.touch(0o600)
    new.write_text(text)
    new.rename(FILE)
    os.kill(PID, signal.SIGHUP)


def table(name, key):
    return f'[keys.{name}]\naccess-key-id = "{key[0]}"\nsecret-access-key = "{key[1]}"\n'


class Case(TestCase):
    def code(self, using):
        """The error that a client gets, if it gets one."""
        try:
            self.invoke(using=using)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None


class Wrong(Case):
    """A file that is none; when it has been read is in the server's log."""

    def test_a_wrong_file_is_put(self):
        replace(f"[keys.new]\n{NEW[1]}")


class Kept(Case):
    """After that."""

    def test_the_keys_are_as_they_were(self):
        for key, expected in [(OLD, None), (STAYS, None), (NEW, "UnrecognizedClientException")]:
            self.assertEqual(self.code(client(*key)), expected)


class Rotation(Case):
    def test_keys_are_replaced_in_use(self):
        old, new, stays = (client(*key) for key in (OLD, NEW, STAYS))
        done = threading.Event()
        codes = set()

        def ask():
            while not done.is_set():
                codes.add(self.code(stays))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            self.assertEqual(self.code(new), "UnrecognizedClientException")
            replace(table("old", OLD) + table("new", NEW) + table("stays", STAYS))
            eventually("both keys hold", lambda: self.code(new) is None)
            self.assertIsNone(self.code(old))
            replace(table("new", NEW) + table("stays", STAYS))
            eventually("the old key is gone", lambda: self.code(old) is not None)
            self.assertEqual(self.code(old), "UnrecognizedClientException")
            self.assertIsNone(self.code(new))
            replace(table("old", OLD) + table("stays", STAYS))
            eventually("the old key is back", lambda: self.code(old) is None)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        self.assertEqual(codes, {None}, "what became of a key that was always there")
