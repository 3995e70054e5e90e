/** Commands in the relay pod, with the user's right to exec. */
import { childNames } from "../api/names.ts";
import { execIn, type Ran } from "../kube/exec.ts";
import { type Running, streamIn } from "../kube/exec-stream.ts";
import type { RelayContainerName } from "../pod/containers.ts";
import { CliError } from "./exit.ts";
import { theRelayPod } from "./pods.ts";
import type { Session } from "./session.ts";

interface Of {
  metadata: { namespace?: string; name: string };
}

/** Throws what the command says where it fails. */
export async function runInPod(
  session: Session,
  server: Of,
  container: RelayContainerName,
  command: readonly string[],
): Promise<string> {
  await theRelayPod(session, server);
  const at = placeOf(server, container);
  const { code, stdout, stderr }: Ran = await execIn(await session.credentials(), at, command, session.signal);
  if (code === 0) return stdout;
  throw new CliError("failed", `${command[0]} in container ${container}: ${stderr.trim() || `exit code ${code}`}`);
}

/** As runInPod, with a command that is written to while it runs. */
export async function streamInPod(
  session: Session,
  server: Of,
  container: RelayContainerName | "restore",
  command: readonly string[],
  options: { paced?: boolean } = {},
): Promise<Running> {
  await theRelayPod(session, server);
  return streamIn(await session.credentials(), placeOf(server, container), command, {
    ...options,
    signal: session.signal,
  });
}

function placeOf({ metadata: { namespace = "", name } }: Of, container: RelayContainerName | "restore") {
  return { namespace, pod: childNames(name).pod, container };
}
