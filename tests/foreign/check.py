"""Files and object stores of the command `tower-audit`, as programs see them that are not ours.

Takes the path of the command. Ends with an exception if something is other than it should be.
"""

import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import uuid

import boto3
import duckdb
import pyarrow.parquet
from moto.server import ThreadedMotoServer

COMMAND = pathlib.Path(sys.argv[1]).resolve()
ROWS = 45_000  # More than two groups of rows.


def event(n: int) -> dict:
    """An event of which some columns are not known."""
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=n, microseconds=n)
    event = {
        "id": str(uuid.UUID(int=n + 1)),
        "created_at": at.isoformat().replace("+00:00", "Z"),
        "actor_type": "user",
        "actor_id": f"user-{n % 7} é \"'",
        "action": "project.update",
        "target_type": "project",
        "target_id": str(n),
        "outcome": ["success", "denied", "failure"][n % 3],
        "metadata": {"n": n, "big": 2**63 - 1, "nested": {"list": [1, None, "x"]}},
        "recorded_at": at.isoformat().replace("+00:00", "Z"),
    }
    if n % 2:
        event |= {"status": 403, "duration_us": n, "ip_address": "2001:db8::1", "captured": {"query": {"page": "2"}}}
    return event


def run(folder: pathlib.Path, *arguments: str, **environment: str) -> str:
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **environment}
    done = subprocess.run([COMMAND, *arguments], cwd=folder, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout


def exported(folder: pathlib.Path, expected: list[dict]) -> None:
    """What each reader finds in the Parquet file is what was imported."""
    table = pyarrow.parquet.read_table(folder / "all.parquet")
    assert table.num_rows == ROWS, table.num_rows
    assert str(table.schema.field("created_at").type) == "timestamp[us, tz=UTC]", table.schema
    assert table.schema.field("actor_id").type == "string" and table.schema.field("status").type == "int64"
    rows = table.to_pylist()
    for row, event in zip(rows, expected, strict=True):
        identity = row["id"]
        identity = identity if isinstance(identity, uuid.UUID) else uuid.UUID(bytes=identity)
        assert str(identity) == event["id"], (row, event)
        for column in ("created_at", "recorded_at"):
            assert row[column] == datetime.datetime.fromisoformat(event[column]), (row, event)
        for column in ("metadata", "captured"):
            text = row[column]
            assert (None if text is None else json.loads(text)) == event.get(column), (row, event)
        for column in ("actor_id", "target_id", "outcome", "status", "duration_us", "ip_address", "reason"):
            assert row[column] == event.get(column), (column, row, event)
    path = folder / "all.parquet"
    counted = duckdb.sql(
        f"SELECT outcome, count(*), sum((metadata->>'n')::bigint) FROM '{path}' WHERE actor_id LIKE 'user-3%' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    wanted = {}
    for n in range(3, ROWS, 7):
        amount, total = wanted.get(expected[n]["outcome"], (0, 0))
        wanted[expected[n]["outcome"]] = (amount + 1, total + n)
    assert counted == [(outcome, *of) for outcome, of in sorted(wanted.items())], counted


def object_store(folder: pathlib.Path) -> None:
    """An object that the command wrote is there for another client, as a whole, and comes back."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-central-1"}
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="eu-central-1", aws_access_key_id="key", aws_secret_access_key="secret"
        )
        client.create_bucket(Bucket="audit", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        environment = {**keys, "AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true"}
        for name in ("2026.parquet", "2026.jsonl"):
            run(folder, "export", "-action:audit.*", "--to", f"s3://audit/trail/{name}", **environment)
        stored = client.get_object(Bucket="audit", Key="trail/2026.jsonl")["Body"].read()
        assert stored == (folder / "all.jsonl").read_bytes()
        assert len(stored) > 8 << 20, "it has more than one part"
        run(folder, "--database", "sqlite://again.db", "migrate")
        said = run(folder, "--database", "sqlite://again.db", "import", "--json", "s3://audit/trail/2026.parquet", **environment)
        assert json.loads(said)["new"] == ROWS, said
        parts = client.list_multipart_uploads(Bucket="audit").get("Uploads", [])
        assert not parts, parts
    finally:
        server.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "tower-audit.toml").write_text('database = "sqlite://audit.db"\n')
        events = [event(n) for n in range(ROWS)]
        (folder / "in.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        run(folder, "migrate")
        said = run(folder, "import", "--json", "in.jsonl")
        assert json.loads(said)["new"] == ROWS, said
        run(folder, "export", "-action:audit.*", "--to", "all.parquet")
        run(folder, "export", "-action:audit.*", "--to", "all.jsonl")
        exported(folder, events)
        object_store(folder)
    print(f"{ROWS} rows: pyarrow {pyarrow.__version__}, DuckDB {duckdb.__version__} and boto3 {boto3.__version__} find what was imported")


main()
