/**
 * An image that does not start: the relay goes back to the one before it by itself. Says how long
 * nobody was served.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Condition } from "../../src/api/chatmail-server.ts";
import { ports } from "../../src/mail/ports.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { relayImage } from "../helpers/relay-image.ts";
import {
  freshServer,
  getServer,
  operatorIsInstalled,
  patchServer,
  removeServer,
  serverReady,
} from "../helpers/servers.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { docker } from "../lab/docker.ts";
import { loadImage } from "../lab/lab.ts";

const domain = "_return.test";
const patience = { patienceMs: patienceMs.pod, everyMs: 200 };

beforeAll(async () => {
  await operatorIsInstalled();
  await freshServer("return", { domain, updatePolicy: { progressDeadlineSeconds: 30 } });
});
afterAll(async () => {
  await removeServer("return");
});

/** The relay's own, whose daemon ends at once: what it is given can be checked, but not served. */
async function brokenImage(): Promise<string> {
  const relay = await relayImage();
  const name = `${relay.replace(/:[^:/]*$/, "")}:does-not-start`;
  const folder = await mkdtemp(join(tmpdir(), "broken-image-"));
  const container = (await docker(["create", relay])).trim();
  try {
    await writeFile(join(folder, "relay.js"), "process.exit(3);\n", { mode: 0o644 });
    await docker(["cp", join(folder, "relay.js"), `${container}:/opt/chatmail/relay.js`]);
    await docker(["commit", container, name]);
  } finally {
    await docker(["rm", container]);
    await rm(folder, { recursive: true });
  }
  await loadImage(name);
  return name;
}

async function conditionIs(type: string, statusAndReason: string): Promise<Condition> {
  const find = async () => {
    const found = (await getServer("return")).status?.conditions?.find((each) => each.type === type);
    return found && `${found.status} ${found.reason}` === statusAndReason ? found : undefined;
  };
  return until(`${type}=${statusAndReason}`, find, patience);
}

test("an image that does not start is taken back, and whoever had an address has it", async () => {
  const account = someAccount(domain);
  const logIn = () => ImapClient.ready({ host: domain, port: ports.imaps }, account.address, account.password);
  await (await logIn()).logout();
  const before = (await getServer("return")).status?.relay;
  const broken = await brokenImage();
  await patchServer("return", { image: { reference: broken } });
  await conditionIs("PodReady", "False PodFailing");
  const downSince = performance.now();
  const { message } = await conditionIs("Stalled", "True UpdateFailed");
  expect(message).toMatch(
    /^revision [0-9a-f]{10} was not ready within 30 seconds: container relay ended with exit code 3/,
  );
  expect(message).toContain(`Revision ${before?.revision} is used again`);
  const client = await until("a login", logIn, patience);
  console.info(
    `served again ${((performance.now() - downSince) / 1_000).toFixed(1)} s after the pod of the image failed`,
  );
  await client.logout();
  await conditionIs("Ready", "True Serving");
  const after = (await getServer("return")).status?.relay;
  expect(after).toMatchObject({ image: before?.image, revision: before?.revision, targetImage: broken });
  expect(after?.failedRevision).toBe(after?.target);

  await patchServer("return", { image: null });
  await serverReady("return");
  await conditionIs("Stalled", "False NotStalled");
});
