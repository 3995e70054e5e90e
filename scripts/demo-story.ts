/** The part of the demo that runs inside the lab: `demo-story.ts OPERATOR-IMAGE RELAY-IMAGE`. */
import { readFile } from "node:fs/promises";
import QRCode from "qrcode";
import type { WrittenServer } from "../src/api/chatmail-server.ts";
import { messageOf } from "../src/lib/text.ts";
import { ports } from "../src/mail/ports.ts";
import { accepts } from "../test/helpers/accepts.ts";
import { converse, expire, join, keptDays, refusals } from "../test/helpers/first-message.ts";
import { kubectl } from "../test/helpers/kubectl.ts";
import {
  applyExamples,
  installOperator,
  namespace,
  publishNames,
  removeServer,
  serverReady,
} from "../test/helpers/servers.ts";
import { until } from "../test/helpers/until.ts";
import { printedSteps, seconds } from "./steps.ts";

const [operator = "", relay = ""] = process.argv.slice(2);
const { step } = printedSteps();
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const ms = (value: number) => `${Math.round(value)} ms`;
const expected = (text: string, wanted: string) => {
  if (!text.startsWith(wanted)) throw new Error(`expected ${wanted}, got: ${text}`);
  return text;
};

const reached = ({ spec: { domain } }: WrittenServer) =>
  until(`${domain} to be reached`, () => accepts(domain, ports.https, 100), { everyMs: 20 });

async function story(): Promise<void> {
  await step("operator installed: kubectl apply -f install/chatmail-operator.yaml", () =>
    installOperator({ operator, relay }),
  );
  await step("what an earlier demo left is removed", () => Promise.all([removeServer("nine"), removeServer("ten")]));

  const applied = performance.now();
  let readyMs = Number.NaN;
  const [nine, ten] = await step(
    "kubectl apply -f examples/chatmail.yaml -f examples/second.yaml",
    async () => {
      await applyExamples();
      const servers = await Promise.all([serverReady("nine"), serverReady("ten")]);
      readyMs = performance.now() - applied;
      return servers;
    },
    () => "examples/chatmail.yaml and second.yaml applied: both relays Ready",
  );
  await step("their names published in the lab's DNS", () => Promise.all([publishNames(nine), publishNames(ten)]));
  // kube-proxy writes its rules once a second
  await step("both reached at their addresses", () => Promise.all([nine, ten].map(reached)));

  const { couple, joinMs } = await step(
    "Alice joins by the first invite, Bob by the second",
    () => join(nine, ten),
    ({ joinMs }) => `Alice and Bob joined by the invites (${joinMs.map(ms).join(" and ")})`,
  );
  try {
    const talk = await step(
      "they meet and write to each other, across the two relays",
      () => converse(couple, 5),
      ({ meetMs, messageMs }) =>
        `secure-join took ${seconds(meetMs)}; 10 messages, median ${ms(median(messageMs))} each`,
    );
    if (!talk.encrypted) throw new Error("a message came without end-to-end encryption");
    const recipient = await couple.alice.address();
    await step(
      "clear text is refused",
      () => refusals(nine.spec.domain, recipient),
      ({ submitted, incoming }) => {
        expected(incoming, "523");
        return `clear text is refused: ${expected(submitted, "523")}`;
      },
    );
    await step(
      "the expiry job removes what is too old",
      () => expire(nine),
      ({ before, after }) => {
        if (before !== 1 || after !== 0) throw new Error(`${before} mail before the expiry job, ${after} after it`);
        return `a mail older than ${keptDays(nine)} days is gone after the expiry job`;
      },
    );
    const invite = nine.status?.invite?.link ?? "";
    console.log(`\nThe invite link, for Delta Chat:  ${invite}\n`);
    console.log(await QRCode.toString(invite, { type: "terminal", small: true }));
    console.log(await kubectl(["-n", "chatmail", "get", "chatmailservers"]));
    console.log(
      `Measured: apply to Ready ${seconds(readyMs)}; join ${joinMs.map(ms).join(", ")}; message median ${ms(median(talk.messageMs))}, slowest ${ms(Math.max(...talk.messageMs))}`,
    );
  } finally {
    await couple.stop();
  }
  console.log(await readFile(new URL("demo-after.txt", import.meta.url), "utf8"));
}

/**
 * What the containers of both relays said last, after a line that says so; nothing, where there is
 * no relay yet.
 */
async function lastWords(): Promise<string> {
  const said = await Promise.allSettled(
    ["nine-0", "ten-0"].map((pod) =>
      kubectl(["-n", namespace, "logs", pod, "--all-containers", "--prefix", "--timestamps", "--tail=12"]),
    ),
  );
  const lines = said.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  return lines.length > 0 ? ["\n\nThe relays said last:", ...lines].join("\n") : "";
}

await story().catch(async (thrown) => {
  console.error(`\n${messageOf(thrown)}${await lastWords()}`);
  process.exit(1); // connections of the failed step may still be open
});
