/**
 * The ground that the other stories stand on: storage, LoadBalancer addresses that keep the
 * client's own, and names.
 */

import { createSocket } from "node:dgram";
import { resolve4, resolveMx, reverse } from "node:dns/promises";
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { apply, kubectl } from "../helpers/kubectl.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { nameServer, publishZone, removeZone } from "../lab/names.ts";
import { helperImage } from "../lab/node-image.ts";

const namespace = "lab-test";
const zone = "_lab-test.test";
const inNamespace = (...args: string[]) => kubectl(["-n", namespace, ...args]);

const whoService = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "who", namespace },
  spec: {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    selector: { app: "who" },
    ports: [{ port: 80, targetPort: 8080 }],
  },
};

/** A pod that says on port 80 who asks, and keeps a file on a claimed volume. */
const objects = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
  {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "kept", namespace },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } },
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "who", namespace, labels: { app: "who" } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "who",
          image: helperImage,
          imagePullPolicy: "IfNotPresent",
          command: ["sh", "-c"],
          args: [
            [
              "mkdir -p /tmp/www/cgi-bin",
              "echo '#!/bin/sh' > /tmp/www/cgi-bin/who",
              "echo 'printf \"\\r\\n$REMOTE_ADDR\"' >> /tmp/www/cgi-bin/who",
              "chmod 755 /tmp/www/cgi-bin/who",
              "echo here > /kept/file",
              "exec busybox httpd -f -p 8080 -h /tmp/www",
            ].join("\n"),
          ],
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          volumeMounts: [
            { name: "kept", mountPath: "/kept" },
            { name: "tmp", mountPath: "/tmp" },
          ],
        },
      ],
      volumes: [
        { name: "kept", persistentVolumeClaim: { claimName: "kept" } },
        { name: "tmp", emptyDir: {} },
      ],
    },
  },
  whoService,
];

beforeAll(async () => {
  await kubectl(["delete", "namespace", namespace, "--ignore-not-found", "--wait"]);
  await apply(...objects);
  await inNamespace("wait", "--for=condition=Ready", "pod/who", `--timeout=${patienceMs.pod / 1000}s`);
});

afterAll(async () => {
  await removeZone(zone);
  await kubectl(["delete", "namespace", namespace, "--wait=false"]);
});

test("a claim is bound to a volume that a pod can write to", async () => {
  expect(await inNamespace("get", "pvc", "kept", "-o", "jsonpath={.status.phase}")).toBe("Bound");
  expect(await inNamespace("exec", "who", "--", "busybox", "cat", "/kept/file")).toBe("here\n");
});

test("a LoadBalancer Service gets a documentation address, and the pod sees the client's own", async () => {
  expect(await addressOf("who")).toMatch(/^203\.0\.113\.\d+$/);
  expect(await firstAnswer("who")).toBe(`[::ffff:${await ownAddressTowards(nameServer)}]`); // as busybox writes it
});

test("a Service that is not a LoadBalancer any more loses its address, and one made again gets the same", async () => {
  const before = await addressOf("who");
  await inNamespace("patch", "service", "who", "--type=merge", "-p", '{"spec":{"type":"ClusterIP"}}');
  await until("the address to go", async () => (await ingress("who")) === "");
  await inNamespace("delete", "service", "who");
  await apply(whoService);
  expect(await addressOf("who")).toBe(before);
  await firstAnswer("who");
});

/**
 * A Service of its own, whose rules are complete before the restart: docs/known-issues.md says what
 * becomes of others.
 */
test("Services stay when kube-proxy writes all its rules again, as it does every hour", async () => {
  const stays = "who-stays";
  await apply({ ...whoService, metadata: { ...whoService.metadata, name: stays } });
  await firstAnswer(stays);
  const kubeProxy = "daemonset/kube-proxy";
  await kubectl(["-n", "kube-system", "rollout", "restart", kubeProxy]);
  await kubectl(["-n", "kube-system", "rollout", "status", kubeProxy, `--timeout=${patienceMs.pod / 1000}s`]);
  await apply({ ...whoService, metadata: { ...whoService.metadata, name: "who-too" } });
  const seen = await firstAnswer("who-too"); // so the rules are written
  expect(await answerOf(stays)).toBe(seen);
  const apiServer = await kubectl(["get", "service", "kubernetes", "-o=jsonpath={.spec.clusterIP}"]);
  expect(await fromPod("kubernetes.default.svc.cluster.local")).toContain(`Address: ${apiServer}`);
});

test("a published zone is what this process and pods resolve; anything else does not exist", async () => {
  await publishZone(zone, "@ A 192.0.2.1\n@ MX 10 @\n_under_score A 192.0.2.2");
  expect(await resolve4(zone)).toEqual(["192.0.2.1"]);
  expect(await resolveMx(zone)).toMatchObject([{ exchange: zone, priority: 10 }]);
  expect(await resolve4(`_under_score.${zone}`)).toEqual(["192.0.2.2"]);
  expect(await fromPod(zone)).toContain("Address: 192.0.2.1");
  await publishZone(zone, "@ A 192.0.2.3");
  expect(await resolve4(zone)).toEqual(["192.0.2.3"]);
  expect(await fromPod(zone)).toContain("Address: 192.0.2.3");
  await expect(resolve4("nobody.example.org")).rejects.toMatchObject({ code: "ENOTFOUND" });
});

test("addresses have names, too", async () => {
  const reversed = "113.0.203.in-addr.arpa";
  await publishZone(reversed, `77 PTR ${zone}.`);
  expect(await reverse("203.0.113.77")).toEqual([zone]);
  await removeZone(reversed);
});

const fromPod = (name: string) => inNamespace("exec", "who", "--", "busybox", "nslookup", "-type=a", `${name}.`);

const ingress = (service: string) =>
  inNamespace("get", "service", service, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}");

const addressOf = (service: string) =>
  until(`an address for ${service}`, async () => (await ingress(service)) || undefined);

/** The client's address, as the pod behind a Service sees it. */
const answerOf = async (service: string) => get(`http://${await addressOf(service)}/cgi-bin/who`);

const firstAnswer = (service: string) =>
  until(`an answer of ${service}`, () => answerOf(service).catch(() => undefined));

const get = (url: string) =>
  new Promise<string>((resolve, reject) => {
    const sent = request(url, { timeout: 2000 }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer")));
    sent.on("error", reject).end();
  });

/** The address this process has on the way to another. */
const ownAddressTowards = (address: string) =>
  new Promise<string>((resolve) => {
    const socket = createSocket("udp4");
    socket.connect(53, address, () => {
      resolve(socket.address().address);
      socket.close();
    });
  });
