/** The lab's pure parts: what decides, reads or writes text. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { debianMirror, sources } from "../../lab/base-image.ts";
import { contentKey, superseded } from "../../lab/cache.ts";
import { lacking, runtimeScript } from "../../lab/capabilities.ts";
import { clusterConfig, podNetwork } from "../../lab/cluster.ts";
import { isLeftDraft, mountsUnder } from "../../lab/down.ts";
import { judgeEngine } from "../../lab/engine.ts";
import { configId, fullName } from "../../lab/load-image.ts";
import { completeZone, zoneName } from "../../lab/names.ts";
import { isLabName } from "../../lab/place.ts";
import { isNewEnough } from "../../lab/programs.ts";
import { estimate } from "../../lab/progress.ts";
import { parseRoutes } from "../../lab/routes.ts";
import { humanBytes, type LabStatus, proportionalBytes, statusText } from "../../lab/status.ts";

test.each([
  ["chatmail-lab", true],
  ["x", true],
  ["2", true],
  ["a".repeat(40), true],
  ["a".repeat(41), false],
  ["", false],
  ["a b", false],
  ["Lab", false],
  ["-lab", false],
  ["lab-", false],
  ["lab.two", false],
  ["../lab", false],
  ["lab\n", false],
])("LAB_NAME %j: %s", (name, isOne) => {
  expect(isLabName(name)).toBe(isOne);
});

test.each([
  { path: "/cache/programs-04b30b2c9aea8361.draft-7/bin/kind", isLeft: false },
  { path: "/cache/programs-04b30b2c9aea8361.draft-8/bin/kind", isLeft: true },
  { path: "node-image.draft-8-AbCdEf", isLeft: true },
  { path: "programs-04b30b2c9aea8361", isLeft: false },
])("$path is left by a maker that is dead: $isLeft", ({ path, isLeft }) => {
  expect(isLeftDraft(path, (pid) => pid === "7")).toBe(isLeft);
});

describe("cache", () => {
  test("the key follows the content, not the place, and knows where parts end", () => {
    const dir = mkdtempSync(join(tmpdir(), "lab-key-"));
    const files = ["a", "b"].map((name) => join(dir, name));
    for (const file of files) writeFileSync(file, "same");
    const [first, second] = files.map((file) => contentKey([{ file }]));
    expect(first).toBe(second);
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(contentKey(["ab", "c"])).not.toBe(contentKey(["a", "bc"]));
  });

  const key = (digit: string) => digit.repeat(16);
  const days = 86_400_000;
  const at = { now: 100 * days, alive: (pid: number) => pid === 7 };
  test.each([
    { file: `programs-${key("a")}`, usedAt: 99 * days, goes: false, when: "used yesterday" },
    { file: `programs-${key("a")}`, usedAt: 80 * days, goes: true, when: "unused for 20 days" },
    { file: `programs-${key("b")}`, usedAt: 0, goes: false, when: "the one in use" },
    { file: `programs-${key("a")}.draft-7`, usedAt: 0, goes: false, when: "being made" },
    {
      file: `programs-${key("a")}.draft-8`,
      usedAt: 99 * days,
      goes: true,
      when: "half-made by a process that is gone",
    },
    { file: `debian-trixie-${key("a")}`, usedAt: 0, goes: false, when: "of another name" },
    { file: "docker", usedAt: 0, goes: false, when: "no entry at all" },
  ])("$file ($when) goes: $goes", ({ file, usedAt, goes }) => {
    const gone = superseded([{ file, usedAt }], "programs", `programs-${key("b")}`, at);
    expect(gone).toEqual(goes ? [file] : []);
  });
});

test("of many entries under one name, the two used last stay beside the one in use", () => {
  const entries = ["1", "2", "3", "4"].map((digit, usedAt) => ({ file: `image-${digit.repeat(16)}`, usedAt }));
  const gone = superseded(entries, "image", "image-unrelated", { now: 9, alive: () => true });
  expect(gone).toEqual([`image-${"2".repeat(16)}`, `image-${"1".repeat(16)}`]);
});

describe("capabilities", () => {
  test.each([
    { set: "000001ffffffffff", missing: [] },
    { set: "000001fffeffffff", missing: ["CAP_SYS_RESOURCE"] },
    { set: "000001fffefffffe", missing: ["CAP_CHOWN", "CAP_SYS_RESOURCE"] },
  ])("$set lacks $missing", ({ set, missing }) => {
    expect(lacking(set, 40)).toEqual(missing);
  });

  test("the runtime takes out what is missing and becomes runc", () => {
    const script = runtimeScript(["CAP_SYS_RESOURCE"]);
    expect(script).toContain('IN("CAP_SYS_RESOURCE") | not');
    expect(script).toMatch(/exec \/usr\/sbin\/runc "\$@"\n$/);
  });
});

test.each([
  { info: { OperatingSystem: "Debian GNU/Linux 13" }, verdict: "docker" },
  {
    info: { OperatingSystem: "Docker Desktop" },
    verdict: { impossible: expect.stringContaining("unit tests still run") },
  },
  {
    info: { SecurityOptions: ["name=seccomp", "name=rootless"] },
    verdict: { impossible: expect.stringContaining("rootless") },
  },
])("an engine that says $info is $verdict", ({ info, verdict }) => {
  expect(judgeEngine(info)).toEqual(verdict);
});

describe("cluster", () => {
  test("two nodes: a control plane and a worker, on kind's network or ours", () => {
    const config = JSON.parse(clusterConfig(2, true)) as { nodes: { role: string }[]; networking: object };
    expect(config.nodes.map(({ role }) => role)).toEqual(["control-plane", "worker"]);
    expect(config.networking).toMatchObject({ disableDefaultCNI: true, kubeProxyMode: "nftables" });
    expect(JSON.parse(clusterConfig(1, false))).toMatchObject({ networking: { disableDefaultCNI: false } });
  });

  test("pods of a node get addresses of its range", () => {
    expect(JSON.parse(podNetwork("10.244.1.0/24"))).toMatchObject({
      plugins: [{ type: "bridge", ipam: { ranges: [[{ subnet: "10.244.1.0/24" }]] } }, { type: "portmap" }],
    });
  });
});

describe("names", () => {
  test.each([
    ["_Nine.test.", "_nine.test"],
    ["113.0.203.in-addr.arpa", "113.0.203.in-addr.arpa"],
  ])("%s is the zone %s", (given, zone) => {
    expect(zoneName(given)).toBe(zone);
  });

  test.each(["", ".", "a b", "a;b", "../a", '"; }', "a..b"])("%j is no zone", (given) => {
    expect(() => zoneName(given)).toThrow("is not the name of a zone");
  });

  test("a text without a head gets one; a text with an SOA stays as it is", () => {
    expect(completeZone("@ A 192.0.2.1")).toMatch(/^\$TTL 1\n@ IN SOA .*\n@ IN NS .*\n@ A 192\.0\.2\.1\n$/);
    const own = "$TTL 5\n@ IN SOA a. b. 1 2 3 4 5\n@ NS a.";
    expect(completeZone(own)).toBe(`${own}\n`);
    expect(completeZone("; no SOA here\n@ TXT x")).toContain("IN SOA");
  });
});

describe("images", () => {
  test.each([
    ["chatmail-relay:dev", "docker.io/library/chatmail-relay:dev"],
    ["local/debian", "docker.io/local/debian:latest"],
    ["localhost/helper:1", "localhost/helper:1"],
    ["registry.example:5000/a/b", "registry.example:5000/a/b:latest"],
    ["ghcr.io/a/b@sha256:00", "ghcr.io/a/b@sha256:00"],
  ])("%s is %s in a node", (name, full) => {
    expect(fullName(name)).toBe(full);
  });

  test.each([`${"a".repeat(64)}.json`, `blobs/sha256/${"a".repeat(64)}`])("%s has an id", (path) => {
    expect(configId(path)).toBe(`sha256:${"a".repeat(64)}`);
  });
});

test.each([
  ["go1.26.8", "1.26", true],
  ["go1.25.0", "1.26", false],
  ["v3.20.2+g8fb76d6", "3.16", true],
  ["Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", "1.34", false],
  ["kind v0.33.0 go1.26 linux/amd64", "0.31", true],
  ["", "1.0", false],
])("%j is at least %s: %s", (found, least, enough) => {
  expect(isNewEnough(found, least)).toBe(enough);
});

describe("Debian's mirrors", () => {
  test.each([
    ["Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n", "http://mirror.example/debian"],
    ["deb [signed-by=/x] https://mirror.example/debian/ trixie main\n", "https://mirror.example/debian"],
    ["# deb http://old.example/debian x\ndeb http://security.example/debian-security x\n", undefined],
    ["deb http://archive.ubuntu.com/ubuntu noble main\n", undefined],
  ])("in %j: %s", (text, mirror) => {
    expect(debianMirror(text)).toBe(mirror);
  });

  test("updates and security come along", () => {
    expect(sources("trixie", "http://mirror.example/debian")).toContain(
      "deb http://mirror.example/debian-security trixie-security main",
    );
  });
});

describe("what is found", () => {
  test("mounts under our folders, the last first, and no others", () => {
    const line = (point: string) => `1 2 0:3 / ${point} rw - ext4 x rw`;
    const text = ["/", "/run/chatmail-lab/a", "/run/chatmail-lab/a/b", "/run/chatmail-labour"].map(line).join("\n");
    expect(mountsUnder(text, ["/run/chatmail-lab"])).toEqual(["/run/chatmail-lab/a/b", "/run/chatmail-lab/a"]);
  });

  test("routes to nodes", () => {
    const text = "unreachable 203.0.113.0/24 metric 9999 \n203.0.113.7 via 198.51.100.128 dev br-1 \n";
    expect(parseRoutes(text)).toEqual(new Map([["203.0.113.7", "198.51.100.128"]]));
  });

  test("memory of a process", () => {
    expect(proportionalBytes("5-7 ---p [rollup]\nRss:  9 kB\nPss:                  12 kB\nPss_Dirty: 3 kB\n")).toBe(
      12_288,
    );
    expect(proportionalBytes("")).toBe(0);
  });
});

describe("words for people", () => {
  test.each([
    [5, undefined],
    [38, "about 40 seconds"],
    [470, "about 8 minutes on 2 cores"],
  ])("%d s: %s", (seconds, text) => {
    expect(estimate(seconds, 2)).toBe(text);
  });

  test.each([
    [0, "0 B"],
    [1_400_000_000, "1.3 GiB"],
    [400 * 1024 * 1024, "400 MiB"],
  ])("%d is %s", (bytes, text) => {
    expect(humanBytes(bytes)).toBe(text);
  });

  const down: LabStatus = {
    provider: "docker",
    nodes: [],
    ready: false,
    zones: [],
    addresses: {},
    loadBalancer: false,
    diskBytes: { cache: 0, state: 0 },
  };
  test.each([
    { is: "down", status: down },
    { is: "engine only", status: { ...down, engine: "28.0" } },
    { is: "not ready", status: { ...down, engine: "28.0", nodes: [{ name: "n", address: "" }] } },
    {
      is: "up",
      status: { ...down, engine: "28.0", nodes: [{ name: "n", address: "a" }], ready: true, loadBalancer: true },
    },
  ])("status says $is", ({ is, status }) => {
    expect(statusText(status)).toMatch(new RegExp(`^lab +${is}\\n`));
  });
});
