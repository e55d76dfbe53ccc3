"""Models in folders, and models that are added, replaced and deleted while they are asked."""

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from botocore.exceptions import ClientError

from shared import REPOSITORY, TestCase, client, eventually

ARTIFACTS = Path(os.environ["ARTIFACTS"])
VERSION = "predict:read /opt/ml/model/version"


def put(name, version):
    """Puts an artifact of this version, or replaces it at once and as a whole."""
    path = REPOSITORY / name
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    shutil.copyfile(ARTIFACTS / version, new)
    new.rename(path)


class Models(TestCase):
    def version(self, name, **request):
        return self.text(VERSION, TargetModel=name, **request)

    def is_gone(self, name):
        try:
            self.version(name)
        except self.client.exceptions.ValidationError as error:
            return "Failed to download model data" in str(error)
        return False

    def test_names_in_folders_and_in_any_script(self):
        names = [
            "tenant-a/eu/iris.tar.gz",
            "a folder/a model.tar.gz",
            "ü/é.tar.gz",
            "模型/😀.tar.gz",
            "100%25.tar.gz",
            "it's \"quoted\" & <more>;.tar.gz",
            "l" * 200 + "/" + "n" * 200 + ".tar.gz",
        ]
        for name in names:
            with self.subTest(name=name):
                put(name, "one")
                self.assertEqual(self.version(name), "one")
                echo = json.load(self.invoke("echo", TargetModel=name)["Body"])
                self.assertEqual(echo["target_model"], name)

    def test_a_model_that_is_added(self):
        self.refused("ValidationError", TargetModel="new/added.tar.gz")
        put("new/added.tar.gz", "one")

        def is_found():
            try:
                return self.version("new/added.tar.gz") == "one"
            except self.client.exceptions.ValidationError:
                return False

        eventually("it is found", is_found)

    def test_a_model_that_is_deleted(self):
        put("deleted.tar.gz", "one")
        self.assertEqual(self.version("deleted.tar.gz"), "one")
        (REPOSITORY / "deleted.tar.gz").unlink()
        eventually("it is gone", lambda: self.is_gone("deleted.tar.gz"))
        put("deleted.tar.gz", "two")
        eventually("it is back", lambda: not self.is_gone("deleted.tar.gz"))
        self.assertEqual(self.version("deleted.tar.gz"), "two")

    def test_models_that_change_while_threads_of_one_client_ask_them(self):
        names = ["t/kept.tar.gz", "t/replaced.tar.gz", "t/deleted.tar.gz"]
        for name in names:
            put(name, "one")
        using = client(max_pool_connections=6)
        done = threading.Event()

        def ask(name):
            """Asks again and again, and returns each answer that was not as the one before."""
            seen = []
            while not done.is_set():
                try:
                    answer = self.version(name, using=using)
                except ClientError as error:
                    answer = error.response["Error"]["Code"]
                if seen[-1:] != [answer]:
                    seen.append(answer)
            return seen

        with ThreadPoolExecutor(6) as threads:
            futures = [threads.submit(ask, name) for name in names * 2]
            try:
                for name in names:
                    eventually("it answers", lambda: self.version(name) == "one")
                put(names[1], "two")
                (REPOSITORY / names[2]).unlink()
                eventually("it is replaced", lambda: self.version(names[1]) == "two")
                eventually("it is gone", lambda: self.is_gone(names[2]))
            finally:
                done.set()
        seen = [future.result() for future in futures]
        for kept, replaced, deleted in (seen[:3], seen[3:]):
            self.assertEqual(kept, ["one"])
            self.assertIn(replaced, (["one"], ["one", "two"]))
            self.assertIn(deleted, (["one"], ["one", "ValidationError"]))
