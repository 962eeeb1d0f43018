"""The encrypted store: hides the values, binds each to its collection and key, and skips what it cannot decrypt."""

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
async def test_planted_record_counts_as_missing(planted: dict[str, Any]) -> None:
    """The store returns None for plain text and for garbage, and raises nothing."""
    under = MemoryStore()
    await under.put("k", planted, collection="c")

    assert await encrypted(under, Fernet.generate_key()).get("k", collection="c") is None


async def test_record_copied_to_another_key_counts_as_missing() -> None:
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
