"""Run commands beside a server in its pod for clients that know the token: `exec_agent.py FOLDER PORT`. Uses only the standard library.

    -> {"token": T, "argv": [...], "env": {...}}\n, then the input as `<length>\n<bytes>` ..., ended by `0\n`
    <- {"status": N, "size": M}\n and M bytes of output; then the agent closes the connection

A shell loop in the server's image runs the scripts that the agent writes to FOLDER. Two pipes in FOLDER carry the commands to the loop and
their results back.
"""

import hmac
import json
import os
import re
import socket
import sys
import threading
from select import select

GONE = 255  # the status of a command whose loop ended while the command ran
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
waiting = {}
begun = set()
lock = threading.Lock()


def main(folder, port):
    os.umask(0o077)
    pipes = [os.path.join(folder, name) for name in ("todo", "done")]
    for pipe in (pipe for pipe in pipes if not os.path.exists(pipe)):
        os.mkfifo(pipe)
    # Opened for reading and writing, so that neither side waits until the other has opened the pipe, and no reader sees an end of file.
    todo, done = (os.open(pipe, os.O_RDWR) for pipe in pipes)
    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Thread(target=hear, args=(done,), daemon=True).start()
        print(f"listening on {server.getsockname()[1]}", flush=True)
        while True:
            threading.Thread(target=serve, args=(server.accept()[0], folder, todo), daemon=True).start()


def hear(done):
    """Read lines of NUMBER STATUS from the loop. After a restart of the loop, the commands that it had begun are lost."""
    with open(done, "rb", closefd=False) as lines:
        for line in lines:
            number, status = line.decode().split()
            with lock:
                if status == "begun":
                    begun.add(number)
                    continue
                for each in begun.copy() if number == "restarted" else (number,):
                    begun.discard(each)
                    if each in waiting:
                        waiting.pop(each).send(b"%d" % (GONE if number == "restarted" else int(status)))


def serve(connection, folder, todo):
    number = os.urandom(8).hex()
    with connection, connection.makefile("rb") as stream:
        try:
            request = json.loads(stream.readline())
            if not hmac.compare_digest(str(request["token"]).encode(), os.environ["ENVCTL_HANDS_TOKEN"].encode()):
                return answer(connection, 126, b"the token is wrong\n")
            write(folder, number, request, stream)
            status = run(connection, folder, number, todo)
            with open(os.path.join(folder, f"{number}.out"), "ab+") as output:
                connection.sendall(json.dumps({"status": status, "size": output.tell()}).encode() + b"\n")
                output.seek(0)
                connection.sendfile(output)
        except (ValueError, LookupError, TypeError) as error:
            answer(connection, 126, f"this is not a request: {error!r}\n".encode())
        except OSError as error:
            print(f"{number}: {error}", file=sys.stderr, flush=True)
        finally:
            for each in (entry.path for entry in os.scandir(folder) if entry.name.startswith(f"{number}.")):
                os.unlink(each)


def answer(connection, status, text):
    connection.sendall(json.dumps({"status": status, "size": len(text)}).encode() + b"\n" + text)
    connection.shutdown(socket.SHUT_WR)  # closing with unread input would reset the connection, and the answer would be lost
    connection.settimeout(5)
    while connection.recv(1 << 16):
        pass


def write(folder, number, request, stream):
    """Write the script of a request, and its input. The script replaces itself with the command, so that its process is the one to kill."""
    env = request.get("env") or {}
    lines = [f"echo $$ > {quoted(os.path.join(folder, number + '.pid'))}"]
    lines += [f"export {name}={quoted(value)}" for name, value in env.items() if NAME.fullmatch(name)]
    odd = [f"{name}={value}" for name, value in env.items() if not NAME.fullmatch(name)]
    lines.append(" ".join(["exec", *map(quoted, [*(["env", *odd] if odd else []), *request["argv"]])]))
    with open(os.path.join(folder, f"{number}.run"), "w", encoding="utf-8", errors="surrogateescape", newline="") as script:
        script.write("\n".join(lines) + "\n")
    with open(os.path.join(folder, f"{number}.in"), "wb") as spool:
        while size := int(stream.readline()):
            while size:
                if not (piece := stream.read(min(size, 1 << 16))):
                    raise ConnectionError("the client went before the end of its input")
                spool.write(piece)
                size -= len(piece)


def quoted(text):
    return "'" + str(text).replace("'", "'\\''") + "'"


def run(connection, folder, number, todo):
    """Run the command and return its status; if the client disconnects, kill the command."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with lock:
            waiting[number] = theirs
        os.write(todo, f"run {number}\n".encode())
        while ours not in (ready := select([ours, connection], [], [])[0]):
            if ready and not connection.recv(1 << 16):
                with lock:
                    waiting.pop(number, None)
                with open(os.path.join(folder, f"{number}.pid")) as pid:
                    os.write(todo, f"kill {pid.read().strip()}\n".encode())
                raise ConnectionError("the client has gone, and its command with it")
        return int(ours.recv(16))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
