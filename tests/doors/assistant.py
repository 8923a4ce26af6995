"""What an assistant asks, by the protocol's own client: over standard input and output, and over HTTP.

assistant.py HTTP_PORT TOKEN   with REJOIN_LAKE in the environment, and rejoin in the path
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

# how long an answer may take: a busy machine is no fault
PATIENCE = 300


def main():
    port, token = sys.argv[1:]
    asyncio.run(over_stdio())
    asyncio.run(over_http(f"http://127.0.0.1:{port}/mcp", token))
    print("both ways in answer alike")


async def over_stdio():
    command = StdioServerParameters(command="rejoin", args=["mcp"], env=dict(os.environ))
    async with stdio_client(command) as (read, write):
        async with ClientSession(read, write) as session:
            await asked(session)


async def over_http(address, token):
    for wrong in None, "Bearer rejoin_made_up", f"Basic {token}":
        async with httpx2.AsyncClient(headers={"Authorization": wrong} if wrong else {}, timeout=PATIENCE) as http:
            answer = await http.post(address, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
            assert answer.status_code == 401 and "token" in answer.text, answer.text
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE) as http:
        async with streamable_http_client(address, http_client=http) as streams:
            async with ClientSession(*streams[:2]) as session:
                await asked(session)


async def asked(session):
    hello = await session.initialize()
    assert hello.server_info.name == "rejoin" and "columns" in hello.instructions, hello
    tools = {tool.name: tool for tool in (await session.list_tools()).tools}
    assert set(tools) == {"tables", "columns", "query", "report", "explain_conversion", "manual"}, tools
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert tools["query"].input_schema["required"] == ["sql"], tools["query"]

    async def call(tool, **arguments):
        answer = await session.call_tool(tool, arguments)
        return answer.is_error, answer.content[0].text

    async def fails(why, tool, **arguments):
        failed, text = await call(tool, **arguments)
        assert failed and why in text, text

    async def gives(tool, **arguments):
        failed, text = await call(tool, **arguments)
        assert not failed, text
        return text

    assert "events" in {row["table_name"] for row in json.loads(await gives("tables"))}
    assert "tracking_code" in {row["column_name"] for row in json.loads(await gives("tables", table="events"))}
    columns = json.loads(await gives("columns"))
    assert "orders" in {c["column"] for c in columns["metrics"]}, columns
    assert "tracking_code" in {c["column"] for c in columns["dimensions"]}, columns

    sql = "SELECT event_id, item, credit FROM credits('orders', 'tracking_code', 'linear') ORDER BY 1, 2"
    text = await gives("query", sql=sql, rows=3)
    rows, end = json.JSONDecoder().raw_decode(text)
    assert len(rows) == 3 and "more than these 3 rows" in text[end:], text
    path = json.loads(await gives("explain_conversion", event_id=rows[0]["event_id"], metric="orders", dimension="tracking_code"))
    assert "linear" in path[0], path
    assert (await gives("query", sql="SELECT 1 + 1 AS two", rows=0)).startswith("[]\nThere are more")

    reports = json.loads(await gives("report"))
    assert "model_comparison" in {report["name"] for report in reports}
    compared = json.loads(await gives("report", name="model_comparison", parameters={"metric": "orders", "conversions": "orders > 0"}))
    assert compared, "a report without rows"
    assert "participation(" in await gives("manual", topic="participation")
    assert "attribution" in await gives("manual")

    await fails("did you mean", "query", sql="SELECT trackin_code FROM events")
    await fails("there is no tool", "drop_lake")
    for writes in "INSERT INTO events SELECT * FROM events", "DROP TABLE events", "CREATE TABLE t AS SELECT 1", "COPY events TO 'x.csv'":
        await fails("", "query", sql=writes)
    await fails("has no other_metric", "report", name="model_comparison", parameters={"other_metric": "x"})
    await fails("no topic", "manual", topic="<b>")
    # each request is for itself, and a question does not wait for another
    several = await asyncio.gather(*(gives("query", sql=f"SELECT {n} AS n") for n in range(8)))
    assert [json.loads(text) for text in several] == [[{"n": n}] for n in range(8)], several


main()
