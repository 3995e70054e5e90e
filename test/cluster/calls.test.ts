/** Two people on one relay, each behind a router that lets nobody in, call each other. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ChatmailServer } from "../../src/api/chatmail-server.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { kubectlJson } from "../helpers/kubectl.ts";
import { relayImage } from "../helpers/relay-image.ts";
import { freshServer, namespace, operatorIsInstalled, removeServer } from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { tryDocker } from "../lab/docker.ts";
import { labName } from "../lab/place.ts";

const name = "calls";
const domain = "_calls-story.test";

let server: ChatmailServer;
beforeAll(async () => {
  await operatorIsInstalled();
  server = await freshServer(name, { domain, services: { turn: { enabled: true } } });
});
afterAll(() => removeServer(name));

interface Pod {
  spec: { containers: { name: string; env?: { name: string; value?: string }[] }[] };
}

test("the relay has a TURN server that Delta Chat is told of, and it carries packets at the load balancer's address", async () => {
  const [address = ""] = server.status?.addresses ?? [];
  const pod = await kubectlJson<Pod>(["-n", namespace, "get", "pod", `${name}-0`]);
  const turn = pod.spec.containers.find((each) => each.name === "turn");
  expect(turn?.env).toContainEqual({ name: "EXTERNAL_IP", value: address });

  const alice = await DeltaChatClient.start("Alice");
  try {
    await alice.join(`dcaccount:${domain}`);
    const told = async () => {
      const servers = JSON.parse(await alice.rpc.iceServers(alice.account)) as IceServer[];
      return servers.find(({ urls }) => urls.some((url) => url.includes(`${address}:3478`)));
    };
    const { username, credential } = await until("the TURN server", told, { patienceMs: patienceMs.client });
    const run = ["run", "--rm", "--network", labName, "--entrypoint", "timeout", await relayImage()];
    const call = ["turnutils_uclient", "-u", username, "-w", credential, "-y", "-c", "-n", "20", "-m", "2", address];
    const { stdout, stderr } = await tryDocker([...run, "30", ...call]);
    expect(stdout + stderr).toMatch(/tot_send_msgs=(\d+), tot_recv_msgs=\1\b/);
  } finally {
    await alice.stop();
  }
});

interface IceServer {
  urls: string[];
  username: string;
  credential: string;
}
