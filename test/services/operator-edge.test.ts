/**
 * `network.web.mode: Edge`: the operator against a real API server, without Traefik's kinds and
 * with them.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "../../src/kube/object.ts";
import { apiServerIsMissing } from "../helpers/api-server.ts";
import { installCrds } from "../helpers/crds.ts";
import { OperatorCluster, type RunningOperator } from "../helpers/operator-cluster.ts";
import { patienceMs, until } from "../helpers/until.ts";

const missing = apiServerIsMissing();
if (missing) console.warn(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)("a server behind an edge", () => {
  let cluster: OperatorCluster;
  let operator: RunningOperator;
  const web = { mode: "Edge", trustedNetworks: ["10.42.0.0/16"] };

  beforeAll(async () => {
    cluster = await OperatorCluster.open();
    operator = cluster.startOperator();
  });
  afterAll(async () => {
    await operator?.stop();
    await cluster?.close();
  });

  const make = (name: string, network: object) =>
    cluster.makeServer(name, {
      domain: `_${name}.test`,
      certificate: { source: "SelfSigned" },
      dns: { mode: "None" },
      network: { addresses: ["203.0.113.9"], ...network },
    });

  test("the mode needs networks to trust, and exposure HostPort", async () => {
    await expect(make("bare", { exposure: "HostPort", web: { mode: "Edge" } })).rejects.toThrow(
      "trustedNetworks is required when mode is Edge",
    );
    await expect(make("bare", { web })).rejects.toThrow("web.trustedNetworks is only used when exposure is HostPort");
  });

  test("without Traefik's kinds nothing is said of them", async () => {
    await make("nine", { exposure: "HostPort", web });
    await cluster.setUp("nine");
    const isKnown = async () => (await cluster.condition("nine", "AddressesReady"))?.status === "True";
    await until("the addresses of nine to be known", isKnown, { patienceMs: patienceMs.client });
    expect((await cluster.condition("nine", "Stalled"))?.status).not.toBe("True");
  });

  test("with them Traefik is told where TLS goes, with the address of the client", async () => {
    const kinds = ["ingressroutetcps", "ingressroutes"];
    await installCrds(
      cluster.server,
      kinds.map((plural) => `test/fixtures/traefik/${plural}.yaml`),
    );
    await make("ten", { exposure: "HostPort", web });
    for (const plural of kinds) {
      await until(`${plural} ten`, () => cluster.exists(plural, "ten"), { patienceMs: patienceMs.client });
      const { metadata } = await cluster.get<KubeObject>(plural, "ten");
      expect(metadata.ownerReferences).toMatchObject([{ kind: "ChatmailServer", name: "ten" }]);
    }
    const tls = () => cluster.get<KubeObject & { spec: { routes: object[] } }>("ingressroutetcps", "ten");
    const [route] = (await tls()).spec.routes;
    expect(route).toMatchObject({ services: [{ name: "ten", port: 443, proxyProtocol: { version: 2 } }] });
  });
});
