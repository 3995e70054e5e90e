/** Two people on one relay, each behind a router that lets nobody in, call each other. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { kubectlJson } from "../helpers/kubectl.ts";
import { freshServer, namespace, operatorIsInstalled, removeServer } from "../helpers/servers.ts";
import { turnClient } from "../helpers/turn-client.ts";
import { patienceMs, until } from "../helpers/until.ts";

/** Where the outside finds it: at the load balancer's address, or at the node's own. */
const ways = [
  {
    exposure: "LoadBalancer",
    name: "calls",
    domain: "_calls-story.test",
    told: (address: string) => ({ value: address }),
  },
  {
    exposure: "HostPort",
    name: "host-calls",
    domain: "_host-calls-story.test",
    told: () => ({ valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "status.hostIP" } } }),
  },
];

interface Pod {
  spec: { containers: { name: string; env?: { name: string }[] }[] };
  status: { hostIP: string };
}

beforeAll(operatorIsInstalled);

describe.each(ways)("by $exposure", ({ exposure, name, domain, told }) => {
  let server: WrittenServer;
  beforeAll(async () => {
    server = await freshServer(name, { domain, network: { exposure }, services: { turn: { enabled: true } } });
  });
  afterAll(() => removeServer(name));

  test("the relay has a TURN server that Delta Chat is told of, and it carries packets", async () => {
    const address = server.status?.addresses?.[0]?.value ?? "";
    const pod = await kubectlJson<Pod>(["-n", namespace, "get", "pod", `${name}-0`]);
    expect(address === pod.status.hostIP).toBe(exposure === "HostPort");
    const turn = pod.spec.containers.find((each) => each.name === "turn");
    expect(turn?.env).toContainEqual({ name: "EXTERNAL_IP", ...told(address) });

    const alice = await DeltaChatClient.start("Alice");
    try {
      await alice.join(`dcaccount:${domain}`);
      const offered = async () => {
        const servers = JSON.parse(await alice.rpc.iceServers(alice.account)) as IceServer[];
        return servers.find(({ urls }) => urls.some((url) => url.includes(`${address}:3478`)));
      };
      const { username, credential } = await until("the TURN server", offered, { patienceMs: patienceMs.client });
      const said = await turnClient("-u", username, "-w", credential, "-y", "-c", "-n", "20", "-m", "2", address);
      expect(said).toMatch(/tot_send_msgs=(\d+), tot_recv_msgs=\1\b/);
    } finally {
      await alice.stop();
    }
  });
});

interface IceServer {
  urls: string[];
  username: string;
  credential: string;
}
