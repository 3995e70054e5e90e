/**
 * From the operator and the image of the commit before to those of this one, and back, while people
 * talk: one relay whose operator is installed by `kubectl apply`, one by Helm. How long each was
 * not served is printed at the end, and asserted nowhere.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WrittenServer } from "../../src/api/chatmail-server.ts";
import { annotations } from "../../src/api/names.ts";
import type { StatefulSet } from "../../src/kube/kinds.ts";
import { ports } from "../../src/mail/ports.ts";
import type { LivePod } from "../../src/operator/server/live.ts";
import { onAnyLoad } from "../helpers/accounts.ts";
import { DeltaChatClient } from "../helpers/delta-chat.ts";
import { someAccount } from "../helpers/first-message.ts";
import { ImapClient } from "../helpers/imap-client.ts";
import { apply, kubectl, theObject } from "../helpers/kubectl.ts";
import { randomName } from "../helpers/messages.ts";
import {
  getServer,
  installOperator,
  namespace,
  operatorIsInstalled,
  operatorRolledOut,
  patchServer,
  publishNames,
  removeServer,
  serverObject,
  serverReady,
  testImages,
  testPrevious,
  withImages,
} from "../helpers/servers.ts";
import { ServiceWatch } from "../helpers/service-watch.ts";
import { SmtpClient } from "../helpers/smtp-client.ts";
import { patienceMs, until } from "../helpers/until.ts";
import { privatePeers } from "../lab/place.ts";

const previous = testPrevious();
const now = testImages();
const before = { operator: previous.operator.name, relay: previous.relay.name };
const installFiles = {
  before: join(previous.tree, "install/chatmail-operator.yaml"),
  now: "install/chatmail-operator.yaml",
};
const byHelm = "upgrade-by-helm";
const patience = { patienceMs: patienceMs.pod, everyMs: 100 };

interface Relay {
  name: string;
  at: string;
  domain: string;
  host: string;
  watch: ServiceWatch;
}
let left: Relay;
let right: Relay;
let alice: DeltaChatClient;
let bob: DeltaChatClient;
let chats: { mine: number; theirs: number };
const said: [DeltaChatClient, string][] = [];
const results: [what: string, figure: string][] = [];

const helm = (...args: string[]) => promisify(execFile)("helm", ["-n", byHelm, ...args]);
const tagOf = (image: string) => image.slice(image.lastIndexOf(":") + 1);
const chartValues = (images: typeof now) => [
  ...["--set", "crds.enabled=false"],
  ...["--set", `image.tag=${tagOf(images.operator)},relayImage.tag=${tagOf(images.relay)}`],
];

/** The documents of an install file of which the CRDs are one part and all else the other. */
async function documentsOf(file: string, images: typeof now): Promise<{ crds: string[]; others: string[] }> {
  const all = withImages(await readFile(file, "utf8"), images).split(/^---$/m);
  const isCrd = (text: string) => /^kind: CustomResourceDefinition$/m.test(text);
  return { crds: all.filter(isCrd), others: all.filter((text) => !isCrd(text)) };
}

async function newRelay(name: string, at: string, spec: object): Promise<Relay> {
  const domain = `_${name}.test`;
  await apply(serverObject(name, { domain, accounts: onAnyLoad, network: { privatePeers }, ...spec }, at));
  const server = await serverReady(name, at);
  await publishNames(server);
  const host = server.status?.addresses?.[0]?.value ?? "";
  return { name, at, domain, host, watch: new ServiceWatch({ host, port: ports.imaps }) };
}

const setOf = ({ name, at }: Relay) => theObject<StatefulSet>(at, `sts/${name}`);
const podOf = ({ name, at }: Relay) => theObject<LivePod>(at, `pod/${name}-0`);
const imageOf = (pod: LivePod) => pod.spec?.containers[0]?.image;

const upToDateReason = (status: WrittenServer["status"]) =>
  status?.conditions?.find(({ type }) => type === "UpToDate")?.reason;

/** Gives its turn to a relay that waits for a person. */
async function giveTurn(relay: Relay): Promise<void> {
  const pod = (await podOf(relay)).metadata.uid;
  const waits = async () => {
    const { status } = await getServer(relay.name, relay.at);
    return upToDateReason(status) === "UpdateWaits" ? status?.relay?.target : undefined;
  };
  const target = await until(`${relay.name} to wait for its turn`, waits, patience);
  expect((await podOf(relay)).metadata.uid).toBe(pod);
  await kubectl([
    ...["-n", relay.at, "annotate", "--overwrite", "chatmailserver", relay.name],
    `${annotations.update}=${target}`,
  ]);
}

/** Waits until its pod has this image and all is well. */
async function hasImage(relay: Relay, image: string): Promise<void> {
  const has = async () => imageOf(await podOf(relay)) === image;
  await until(`${relay.name} to have ${image}`, has, patience);
  await serverReady(relay.name, relay.at);
}

/** Clients that wait for mail on a relay, and which pod they do this at. */
interface Waiting {
  relay: Relay;
  revision: string | undefined;
  podUid: string | undefined;
  /** Ends all of them; how many were there until now. */
  lasted: () => Promise<number>;
}
const sessions = 3;

async function clientsWait(relay: Relay): Promise<Waiting> {
  const { address, password } = someAccount(relay.domain);
  const open = () => ImapClient.ready({ host: relay.host, port: ports.imaps }, address, password);
  // what is tried is what comes next; an interruption until now is in the figures
  const serves = async () => (await open()).logout().then(() => true);
  await until(`${relay.name} to serve`, serves, patience);
  const clients = await Promise.all(
    Array.from({ length: sessions }, async () => {
      const client = await open();
      await client.say("SELECT INBOX");
      return { client, idle: await client.idle() };
    }),
  );
  const [set, pod] = [await setOf(relay), await podOf(relay)];
  return {
    relay,
    revision: set.status?.updateRevision,
    podUid: pod.metadata.uid,
    lasted: async () => {
      const ends = await Promise.allSettled(clients.map(({ idle }) => idle.done()));
      for (const { client } of clients) client.destroy();
      return ends.filter((end) => end.status === "fulfilled" && end.value.status === "OK").length;
    },
  };
}

/** No session ends, unless the pod's template became another. */
async function noneLostInVain(waiting: Waiting): Promise<void> {
  const { relay, revision, podUid } = waiting;
  const lasted = await waiting.lasted();
  const isSame = (await setOf(relay)).status?.updateRevision === revision;
  const pod = await podOf(relay);
  if (isSame) expect([pod.metadata.uid, lasted]).toEqual([podUid, sessions]);
}

/** Says something on both sides, whatever the relays are doing. */
async function talk(round: string): Promise<void> {
  for (const [from, chat, to] of [
    [alice, chats.theirs, bob],
    [bob, chats.mine, alice],
  ] as const) {
    const text = `${round} ${from.name} ${randomName(6)}`;
    await from.say(chat, text);
    said.push([to, text]);
  }
}

let size = 30;
/** An edit of the plan, until Postfix goes by it and the status says so. */
async function editTakesEffect(relay: Relay): Promise<void> {
  const wanted = --size;
  await patchServer(relay.name, { messages: { maxSize: `${wanted}Mi` } }, relay.at);
  const inForce = async () => {
    const smtp = await SmtpClient.ready({ host: relay.host, port: ports.submissions });
    await smtp.quit();
    return smtp.offers.includes(`SIZE ${wanted * 2 ** 20}`);
  };
  await until(`${relay.name} to take ${wanted} MiB`, inForce, patience);
  const isSaid = async () => {
    const { status } = await serverReady(relay.name, relay.at);
    const reason = upToDateReason(status);
    return reason === "PlanUsed" || reason === "UpdateWaits";
  };
  await until(`the status of ${relay.name} to say so`, isSaid, patience);
}

/** Does something to the relays, with people talking, and notes for how long they did not serve. */
async function measured(what: string, work: () => Promise<void>): Promise<void> {
  for (const { watch } of [left, right]) await watch.lap();
  const waiting = [await clientsWait(left), await clientsWait(right)];
  await Promise.all([work(), talk(what)]);
  await talk(what);
  for (const each of waiting) await noneLostInVain(each);
  const figures: string[] = [];
  for (const { name, watch } of [left, right]) figures.push(`${name} ${(await watch.lap()).toFixed(1)} s`);
  results.push([what, `without service: ${figures.join(", ")}`]);
}

beforeAll(async () => {
  await installOperator(before, installFiles.before);
  await removeServer("old");
  const chart = join(previous.tree, "charts/chatmail-operator");
  await helm("install", byHelm, chart, "--create-namespace", ...chartValues(before), "--wait");
  [left, right] = await Promise.all([
    // a person says when it is updated
    newRelay("old", namespace, { updatePolicy: { mode: "Manual" } }),
    newRelay("older", byHelm, {}),
  ]);
  [alice, bob] = await Promise.all([DeltaChatClient.start("Alice"), DeltaChatClient.start("Bob")]);
  await Promise.all([alice.join(`dcaccount:${left.domain}`), bob.join(`dcaccount:${right.domain}`)]);
  chats = await bob.meet(alice);
});

afterAll(async () => {
  const width = Math.max(0, ...results.map(([what]) => what.length));
  console.log(
    [`from ${previous.commit}`, ...results.map(([what, figure]) => `${what.padEnd(width)}  ${figure}`)].join("\n"),
  );
  await Promise.all([alice?.stop(), bob?.stop(), left?.watch.stop(), right?.watch.stop()]);
  await operatorIsInstalled();
  await removeServer("old");
  await kubectl(["-n", byHelm, "delete", "chatmailserver", "--all", "--wait"]);
  await helm("uninstall", byHelm, "--ignore-not-found");
  await kubectl(["delete", "namespace", byHelm, "--ignore-not-found", "--wait"]);
});

test("a CRD that is newer than the operators changes nothing, and edits take effect", async () => {
  await measured("the CRD first", async () => {
    await apply(...(await documentsOf(installFiles.now, now)).crds);
    await Promise.all([editTakesEffect(left), editTakesEffect(right)]);
  });
  for (const relay of [left, right]) expect(imageOf(await podOf(relay))).toBe(before.relay);
});

test("new operators, by kubectl apply and by Helm: a relay that waits for a person stays as it is, and the other gets the new image", async () => {
  await measured("then the operators", async () => {
    const values = chartValues(now);
    await Promise.all([installOperator(now), helm("upgrade", byHelm, "charts/chatmail-operator", ...values, "--wait")]);
    await Promise.all([hasImage(right, now.relay), hasImage(left, before.relay)]);
  });
});

test("the new operator and the image of before understand each other", async () => {
  await measured("an edit under the new operator", () => editTakesEffect(left));
  expect(imageOf(await podOf(left))).toBe(before.relay);
});

test("it is upgraded when a person says so", async () => {
  await measured("the image of one relay", async () => {
    await giveTurn(left);
    await hasImage(left, now.relay);
  });
});

test("back again, by kubectl apply and by Helm: all serve as before", async () => {
  await measured("all of it back", async () => {
    await Promise.all([installOperator(before, installFiles.before), helm("rollback", byHelm, "1", "--wait")]);
    await giveTurn(left);
    await Promise.all([hasImage(left, before.relay), hasImage(right, before.relay)]);
  });
  await editTakesEffect(left);
});

test("operators that are newer than the CRD work, and the CRD after them changes nothing", async () => {
  const { crds, others } = await documentsOf(installFiles.now, now);
  await measured("the operators first", async () => {
    const applied = apply(...others).then(operatorRolledOut);
    await Promise.all([applied, helm("upgrade", byHelm, "charts/chatmail-operator", ...chartValues(now), "--wait")]);
    await giveTurn(left);
    await Promise.all([hasImage(left, now.relay), hasImage(right, now.relay)]);
    await editTakesEffect(left);
  });
  await measured("then the CRD", async () => {
    await apply(...crds);
    await editTakesEffect(left);
  });
});

test("of all that was said meanwhile nothing was lost, and nothing came twice", async () => {
  for (const [to, text] of said) await to.has(text);
  for (const [to, text] of said) expect(await to.count(text), text).toBe(1);
});
