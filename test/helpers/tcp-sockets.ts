/**
 * Sockets of other processes: their options are seen by who has the sockets alone. Needs root,
 * python3, and Linux 5.6.
 */
import { run } from "../lab/run.ts";

export interface TcpSocket {
  /** Its own. */
  port: number;
  /** None: it listens. */
  peer?: string;
  noDelay: boolean;
}

/** Each process's; one that several have is there several times. */
export async function tcpSocketsOf(pids: readonly number[]): Promise<TcpSocket[]> {
  return JSON.parse(await run(["python3", "-c", script, ...pids.map(String)])) as TcpSocket[];
}

/** A copy of each socket is fetched by pidfd_getfd(2), asked, and closed. */
const script = `
import ctypes, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
found = []
for pid in map(int, sys.argv[1:]):
    try:
        process = os.pidfd_open(pid)
        names = os.listdir(f"/proc/{pid}/fd")
    except (ProcessLookupError, FileNotFoundError):
        continue
    for name in names:
        try:
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
        except FileNotFoundError:
            continue
        copy = libc.syscall(438, process, int(name), 0)
        if copy < 0:
            if ctypes.get_errno() == 9:
                continue
            raise OSError(ctypes.get_errno(), f"pidfd_getfd of process {pid}")
        with socket.socket(fileno=copy) as one:
            if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
                continue
            seen = {"port": one.getsockname()[1], "noDelay": one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0}
            try:
                seen["peer"] = one.getpeername()[0]
            except OSError:
                pass
            found.append(seen)
    os.close(process)
print(json.dumps(found))
`;
