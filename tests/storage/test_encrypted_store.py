"""The encrypted store: hides the values, binds each to its collection and key, and skips what it cannot decrypt."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.fernet import Fernet
from key_value.aio.stores.memory import MemoryStore

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.encrypted_store import EncryptedStore
from m365_mcp.storage.encryption import RecordCipher, derive, make_cipher
from m365_mcp.storage.guard import GuardedStore

VALUE = {"token": "hush", "number": 1}


def encrypted(under: MemoryStore, *keys: bytes) -> EncryptedStore:
    return EncryptedStore(under, RecordCipher(*(Fernet(key) for key in keys)))


async def test_value_survives_and_is_stored_as_ciphertext() -> None:
    """The store returns the values that it got, and the store beneath has only ciphertext."""
    under = MemoryStore()
    store = encrypted(under, Fernet.generate_key())

    await store.put("k", VALUE, collection="c", ttl=60)
    await store.put_many(["a", "b"], [VALUE, VALUE], collection="c")

    assert await store.get("k", collection="c") == VALUE
    assert await store.get_many(["a", "missing", "b"], collection="c") == [VALUE, None, VALUE]
    value, seconds = await store.ttl("k", collection="c")
    assert value == VALUE
    assert seconds is not None
    assert seconds <= 60
    assert [found for found, _ in await store.ttl_many(["a", "b"], collection="c")] == [VALUE, VALUE]
    assert "hush" not in str(await under.get("k", collection="c"))


@pytest.mark.parametrize(
    "planted",
    [VALUE, {"sealed": "nonsense"}, {"sealed": 7}, {}, {"__encrypted_data__": "x", "__encryption_version__": 1}],
)
async def test_s10_planted_record_counts_as_missing(planted: dict[str, Any]) -> None:
    """The store returns None for plain text and for garbage, and raises nothing."""
    under = MemoryStore()
    await under.put("k", planted, collection="c")

    assert await encrypted(under, Fernet.generate_key()).get("k", collection="c") is None


async def test_s11_record_copied_to_another_key_counts_as_missing() -> None:
    """The store returns None for a ciphertext that was copied to another key or collection."""
    under = MemoryStore()
    store = encrypted(under, Fernet.generate_key())
    await store.put("victim", VALUE, collection="c")
    stolen = await under.get("victim", collection="c")
    assert stolen is not None

    await under.put("attacker", stolen, collection="c")
    await under.put("victim", stolen, collection="other")

    assert await store.get("attacker", collection="c") is None
    assert await store.get("victim", collection="other") is None


async def test_rotated_key_reads_old_records_and_writes_new_ones() -> None:
    """The first key encrypts, all keys decrypt, and a record of a removed key counts as missing."""
    old, new = Fernet.generate_key(), Fernet.generate_key()
    under = MemoryStore()
    await encrypted(under, old).put("k", VALUE, collection="c")

    rotated = encrypted(under, new, old)
    assert await rotated.get("k", collection="c") == VALUE
    await rotated.put("k2", VALUE, collection="c")

    assert await encrypted(under, new).get("k2", collection="c") == VALUE
    assert await encrypted(under, new).get("k", collection="c") is None


async def test_store_that_fails_raises_an_outage_and_not_a_missing_record() -> None:
    """A connection error becomes StorageUnavailable, which tells the person not to sign in again."""

    class Broken(MemoryStore):
        async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
            raise ConnectionRefusedError

    with pytest.raises(StorageUnavailable, match="no need to sign in again"):
        await GuardedStore(Broken()).get("k")


def test_derived_keys_differ_by_purpose_and_are_stable() -> None:
    """One secret gives the same key for one purpose, and a different key for another purpose."""
    assert derive("secret", "jwt") == derive("secret", "jwt")
    assert derive("secret", "jwt") != derive("secret", "storage")
    ciphertext = make_cipher([], ["secret"]).encrypt(VALUE, "c", "k")
    assert make_cipher([], ["secret"]).decrypt(ciphertext, "c", "k") == VALUE


async def test_k4_registration_read_during_a_rotation_outlives_the_old_key() -> None:
    """K4: a read encrypts an old client registration with the new key, and does not extend its life."""
    under = MemoryStore()
    old, new = Fernet.generate_key(), Fernet.generate_key()
    await encrypted(under, old).put("k", VALUE, collection="mcp-oauth-proxy-clients", ttl=60)

    assert await encrypted(under, new, old).get("k", collection="mcp-oauth-proxy-clients") == VALUE
    found, seconds = await encrypted(under, new).ttl("k", collection="mcp-oauth-proxy-clients")

    assert found == VALUE
    assert seconds is not None
    assert 0 < seconds <= 60


def test_first_configured_key_decrypts_records_of_the_derived_key() -> None:
    """After the first STORAGE_ENCRYPTION_KEY the server reads old records, and encrypts new ones with that key only."""
    key = Fernet.generate_key().decode()
    before = make_cipher([], ["secret"]).encrypt(VALUE, "c", "k")
    after = make_cipher([key], ["secret"])

    assert after.decrypt(before, "c", "k") == VALUE
    assert make_cipher([key], ["another"]).decrypt(after.encrypt(VALUE, "c", "k"), "c", "k") == VALUE


async def test_record_has_the_shape_that_v0_1_0_wrote() -> None:
    """The one field `sealed` holds the ciphertext of collection, key and value as compact JSON."""
    key, under = Fernet.generate_key(), MemoryStore()
    await encrypted(under, key).put("k", VALUE, collection="c")

    stored = await under.get("k", collection="c")

    assert stored is not None
    assert list(stored) == ["sealed"]
    assert Fernet(key).decrypt(stored["sealed"]) == b'["c","k",{"token":"hush","number":1}]'


def test_derived_keys_are_those_of_v0_1_0() -> None:
    """The keys that the server derives from a secret never change, or it could read no older record."""
    expected = bytes.fromhex("b06b62dcc8d4d4f6deb8672a8593a4901e7e62a035e6b8d58bbe26720e087f9f")
    text = json.dumps(["c", "k", VALUE]).encode()
    ciphertext = Fernet(base64.urlsafe_b64encode(expected)).encrypt(text).decode()

    assert derive("secret", "storage") == expected
    assert make_cipher([], ["secret"]).decrypt(ciphertext, "c", "k") == VALUE


@pytest.mark.parametrize("is_new", [True, False])
async def test_only_a_record_of_an_old_key_is_written_again(is_new: bool) -> None:
    """A read of a client registration writes it again if another key than the newest encrypted it, and only then."""
    under = MemoryStore()
    old, new = Fernet.generate_key(), Fernet.generate_key()
    await encrypted(under, new if is_new else old).put("k", VALUE, collection="mcp-oauth-proxy-clients")
    before = await under.get("k", collection="mcp-oauth-proxy-clients")

    await encrypted(under, new, old).get("k", collection="mcp-oauth-proxy-clients")

    assert (await under.get("k", collection="mcp-oauth-proxy-clients") == before) is is_new


async def test_deleted_records_are_gone() -> None:
    """`delete` and `delete_many` reach the record of this key and collection, and tell what existed."""
    under = MemoryStore()
    store = encrypted(under, Fernet.generate_key())
    await store.put_many(["a", "b", "c"], [VALUE] * 3, collection="c", ttl=60)
    assert [round(seconds or 0) for _, seconds in await store.ttl_many(["a", "b", "c"], collection="c")] == [60] * 3

    assert await store.delete("a", collection="c") is True
    assert await store.delete("a", collection="c") is False
    assert await store.delete_many(["a", "b"], collection="c") == 1

    assert await store.get_many(["a", "b", "c"], collection="c") == [None, None, VALUE]


async def test_number_of_values_must_be_the_number_of_keys() -> None:
    """A value that is missing, in a call or in the answer of the store beneath, is an error and not a shorter list."""

    class Forgetful(MemoryStore):
        async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
            found: list[dict[str, Any] | None] = await super().get_many(keys, collection=collection)
            return found[:-1]

    store = encrypted(Forgetful(), Fernet.generate_key())

    with pytest.raises(ValueError, match="shorter"):
        await store.put_many(["a", "b"], [VALUE])
    with pytest.raises(ValueError, match="shorter"):
        await store.get_many(["a", "b"])
