/** The demo without a cluster: what it tells is true, and it leaves nothing behind. */
import { expect, test } from "vitest";
import { relayImage } from "../helpers/relay-image.ts";
import { docker, lines } from "../lab/docker.ts";
import { tryRun } from "../lab/run.ts";

/** Containers of one engine's relay pods, of this file's and of others beside it. */
const relays = async () => lines(await docker(["ps", "-a", "--filter", "name=^relay-", "--format", "{{.Names}}"]));

test("two people join a relay and write to each other, and its containers are removed", async () => {
  const image = await relayImage();
  const before = await relays();
  const { code, stdout, stderr } = await tryRun([process.execPath, "scripts/plain-story.ts", image]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout.match(/^ {2}✓ /gm)).toHaveLength(7);
  expect(stdout).toMatch(/clear text is refused: 523 /);
  expect(stdout).toMatch(/memory in MiB: relay \d+, dovecot \d+, postfix \d+, web \d+|memory is seen by root alone/);
  const host = /serve (\S+)/.exec(stdout)?.[1];
  const left = (await relays()).filter((name) => name.endsWith("-sandbox") && !before.includes(name));
  const network = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
  const hosts = left.length > 0 ? lines(await docker(["inspect", "--format", network, ...left])) : [];
  expect(hosts).not.toContain(host);
});
