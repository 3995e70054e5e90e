/**
 * The part of `npm run demo -- --public` that runs inside the lab: `demo-public.ts OPERATOR-IMAGE
 * RELAY-IMAGE`.
 */
import { messageOf } from "../src/lib/text.ts";
import { ports } from "../src/mail/ports.ts";
import { converse, join } from "../test/helpers/first-message.ts";
import { apply, kubectl } from "../test/helpers/kubectl.ts";
import {
  CheckedMail,
  certificateIsServed,
  deleteServer,
  domain,
  isServing,
  name,
  namesSeenBy,
  openSurroundings,
  recordsAreVerified,
  replaceCompromisedKey,
  rotateKey,
  type Surroundings,
} from "../test/helpers/public-name.ts";
import { freshServer, getServer, installOperator, namespace, removeServer } from "../test/helpers/servers.ts";
import { printedSteps, seconds } from "./steps.ts";

const [operator = "", relay = ""] = process.argv.slice(2);
const peerName = "public-peer";
const { step } = printedSteps();

async function story(around: Surroundings): Promise<void> {
  const peer = await step(`a second relay to write to: ${peerName}`, () =>
    freshServer(peerName, { domain: "_public-peer.test", network: around.server.spec.network }),
  );
  const applied = performance.now();
  const since = () => seconds(performance.now() - applied);
  await step("kubectl apply -f examples/public.yaml", () => apply(around.server));
  await step(
    "records published and verified",
    recordsAreVerified,
    ({ dns }) =>
      `records at ${dns?.nameServers?.join(", ")}: ${dns?.required} required, ${dns?.recommended} recommended; DNSSEC ${dns?.dnssec}`,
  );
  const verified = since();
  await step(
    "certificate issued and served",
    () => certificateIsServed(around.root),
    ({ certificate }) => `certificate until ${certificate?.notAfter?.slice(0, 10)} issued, and served at every port`,
  );
  const served = since();
  await step("Ready", isServing);
  await step(
    "strict TLS",
    () => namesSeenBy(around.root, ports.imaps),
    (names) => `TLS verified by the root alone: ${names.replaceAll("DNS:", "")}`,
  );
  const { couple } = await step(`Delta Chat, which trusts the authority as any other, joins ${domain}`, async () =>
    join(await getServer(name), peer, around.core.program),
  );
  let message: string;
  try {
    await step(
      "a message to somebody at the other relay",
      () => converse(couple, 1),
      ({ messageMs: [first = Number.NaN] }) => `a message to somebody at the other relay took ${Math.round(first)} ms`,
    );
    message = since();
  } finally {
    await couple.stop();
  }
  const mail = await CheckedMail.open(peer);
  const says = ({ from, to }: { from: string; to: string }) => `mail was signed with ${from}, and is with ${to}`;
  await step("DKIM rotation, while mail goes on", () => rotateKey(mail), says);
  await step("that key is compromised: replaced at once", () => replaceCompromisedKey(mail), says);
  await mail.close();
  console.log(`  ✓  ${mail.count} mails meanwhile, and none was refused by the other relay`);
  console.log(`\n${await kubectl(["-n", namespace, "get", "chatmailservers", name, "-o", "wide"])}`);
  await step("kubectl delete: its records are removed", deleteServer, ({ before, left }) => {
    if (left.length > 0) throw new Error(`left in the zone: ${left.join(", ")}`);
    return `kubectl delete: all ${before} records are removed`;
  });
  console.log(
    `\nMeasured from apply: records verified ${verified}; certificate served ${served}; first message ${message}`,
  );
}

/** What is wrong, in the words of the server's own status. */
const conditions = () =>
  kubectl(["-n", namespace, "describe", "chatmailserver", name]).then(
    (text) => `\n\n${text.slice(text.indexOf("Status:"))}`,
    () => "",
  );

async function main(): Promise<void> {
  await step("operator installed: kubectl apply -f install/chatmail-operator.yaml", () =>
    installOperator({ operator, relay }),
  );
  const around = await step("a signed zone, and an authority (Pebble)", openSurroundings);
  try {
    await story(around);
  } catch (thrown) {
    console.error(`\n${messageOf(thrown)}${await conditions()}`);
    process.exitCode = 1;
  } finally {
    await Promise.all([removeServer(name), removeServer(peerName)]);
    await around.remove();
  }
}

await main().catch((thrown) => {
  console.error(`\n${messageOf(thrown)}`);
  process.exitCode = 1;
});
process.exit(); // connections of a failed step may still be open
