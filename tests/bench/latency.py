"""As if a server on this machine were far away: passes bytes between it and its clients, and holds back each answer for a
while. Answers that are under way together arrive together.

    latency.py PORT SECONDS

Says on which port it listens."""

import asyncio
import sys

CHUNK = 1 << 18


async def relay(here, out, port, seconds):
    there, away = await asyncio.open_connection("127.0.0.1", port)
    under_way = asyncio.Queue()
    await asyncio.gather(pass_on(here, away), hold_back(there, under_way, seconds), deliver(under_way, out))


async def pass_on(given, out):
    while chunk := await read(given):
        out.write(chunk)
        await out.drain()
    out.close()


async def hold_back(given, under_way, seconds):
    clock = asyncio.get_running_loop().time
    chunk = True
    while chunk:
        chunk = await read(given)
        await under_way.put((clock() + seconds, chunk))


async def deliver(under_way, out):
    clock = asyncio.get_running_loop().time
    while True:
        due, chunk = await under_way.get()
        await asyncio.sleep(due - clock())
        if not chunk:
            return out.close()
        out.write(chunk)
        await out.drain()


async def read(given):
    try:
        return await given.read(CHUNK)
    except ConnectionError:
        return b""


async def main(port, seconds):
    async def serve(here, out):
        try:
            await relay(here, out, port, seconds)
        except ConnectionError:
            out.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
