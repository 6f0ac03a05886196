"""`admin verify-history` finds what somebody with access to the database did to the security history behind its back."""

import json

import pytest

import samples


@pytest.fixture
def written(each_server):
    """A server with a history that is sealed to its end, stopped, so that nothing is added behind the test's back."""
    server = each_server
    server.account("mara")
    token = server.token("mara")
    for version in ("1.0", "1.1", "1.2"):
        name, content = samples.wheel("Lanternfish", version)
        answer = server.upload(token, name, content, samples.upload_form("Lanternfish", version, content))
        assert answer.status_code == 200, f"{answer.status_code} {answer.reason}: {answer.text}"
    server.until(lambda: server.sql("SELECT COUNT(*) FROM events WHERE position IS NULL"), lambda rows: rows == [("0",)],
                 "every event is sealed")
    server.stop()
    assert length(server) >= 6
    assert "consistent" in server.admin("verify-history").ok().output
    return server


def length(server) -> int:
    return int(server.sql("SELECT MAX(position) FROM events")[0][0])


def found(server, position: int, *options) -> str:
    """The verdict must be `refused` (exit code 1) and name the position."""
    said = server.admin("verify-history", *options).ended_with(1).output
    assert str(position) in said, f"position {position} is not named: {said}"
    return said


def test_a_changed_row_is_found(written):
    written.sql("UPDATE events SET details = '{\"filename\":\"another.whl\"}' WHERE position = 4")
    found(written, 4)


def test_a_changed_time_is_found(written):
    written.sql("UPDATE events SET at = at + 1 WHERE position = 3")
    found(written, 3)


def test_a_missing_row_is_found(written):
    written.sql("DELETE FROM events WHERE position = 4")
    found(written, 4)


def test_reordered_rows_are_found(written):
    written.sql("UPDATE events SET position = -position WHERE position IN (3, 4)")
    written.sql("UPDATE events SET position = 7 + position WHERE position < 0")
    found(written, 3)


def test_a_row_put_in_is_found(written):
    last = length(written)
    columns = "tag, at, account_id, project_id, case_id, token_id, actor, details, journal, personal_id, personal_digest"
    written.sql(f"INSERT INTO events (id, position, chain, {columns}) SELECT '0192f000-0000-7000-8000-000000000000', "
                f"{last + 1}, chain, {columns} FROM events WHERE position = {last}")
    found(written, last + 1)


def test_a_cut_is_found_only_with_a_checkpoint_kept_outside(written, tmp_path):
    last_position, chain, at, key_id, signature = written.sql(
        "SELECT last_position, chain, at, key_id, signature FROM checkpoints ORDER BY last_position DESC LIMIT 1")[0]
    public_key = written.sql(f"SELECT public_key FROM signing_keys WHERE id = '{key_id}'")[0][0]
    outside = tmp_path / "checkpoint.json"
    outside.write_text(json.dumps({"schema": "portcullis.checkpoint/1", "position": int(last_position), "chain": chain, "at": int(at),
                                   "key": key_id, "public_key": public_key, "signature": signature}))
    written.admin("verify-history", "--checkpoint", outside).ok()

    # the thief removes the end of the history, and the checkpoints over it
    first = int(written.sql("SELECT first_position FROM checkpoints ORDER BY last_position DESC LIMIT 1")[0][0])
    moment = written.sql(f"SELECT MIN(at) FROM events WHERE position >= {first}")[0][0]
    written.sql(f"DELETE FROM checkpoints WHERE last_position >= {first}")
    written.sql(f"DELETE FROM events WHERE position >= {first}")
    assert "use" in written.admin("verify-history").ended_with(1).output, "a token's use without its event"

    # and whatever else tells of it
    written.sql(f"DELETE FROM token_uses WHERE at >= {moment}")
    said = written.admin("verify-history").ok().output
    assert "consistent; a cut after the last outside checkpoint can't be excluded" in said
    assert "cut" in found(written, int(last_position), "--checkpoint", outside)
