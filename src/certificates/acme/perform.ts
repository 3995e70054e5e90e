/** Does what an order needs next, and says what came of it. */
import { type AcmeClient, AcmeError, type Authorization, type OrderObject, saidIn } from "./client.ts";
import { challengeText } from "./jws.ts";
import type { OrderEvent, OrderTask } from "./order.ts";
import { certificateRequest } from "./request.ts";

/** What has to be where the authority looks. */
export interface ChallengeAnswer {
  /** The domain name, without `_acme-challenge`. */
  name: string;
  /** What the path of the request ends in. */
  token: string;
  /** What that path answers. */
  answer: string;
  /** What the TXT record says. */
  record: string;
}

export interface OrderTools {
  client: AcmeClient;
  challenge: "http-01" | "dns-01";
  profile?: string | undefined;
  /** The certificate that this one takes the place of (RFC 9773 §5). */
  replaces?: string | undefined;
  /** Of the certificate. */
  keyPem: string;
  /** Resolves when all of them are where the authority looks; throws where they can't be. */
  publish: (answers: readonly ChallengeAnswer[], signal: AbortSignal) => Promise<void>;
  /** Puts the certificate where it is served from; safe to repeat. */
  store: (certificatePem: string, signal: AbortSignal) => Promise<void>;
  signal: AbortSignal;
}

/** What the authority refuses is an event; what else is thrown goes on. */
export async function perform(
  task: Exclude<OrderTask, { do: "wait" }>,
  tools: OrderTools,
): Promise<Exclude<OrderEvent, { is: "wanted" }>> {
  try {
    return await performed(task, tools);
  } catch (thrown) {
    if (!(thrown instanceof AcmeError)) throw thrown;
    const { type, message, names, retryAfterMs } = thrown;
    return { is: "refused", type, says: message, names, retryAfterMs };
  }
}

async function performed(
  task: Exclude<OrderTask, { do: "wait" }>,
  tools: OrderTools,
): Promise<Exclude<OrderEvent, { is: "wanted" }>> {
  const { client, signal } = tools;
  switch (task.do) {
    case "create":
      return seenOf(await create(task.names, tools));
    case "authorize":
      await authorize(task.url, tools);
      return { is: "answered" };
    case "look":
      return seenOf(await client.order(task.url, signal));
    case "finalize": {
      const { finalize } = await client.order(task.url, signal);
      const request = await certificateRequest(task.names, tools.keyPem);
      return seenOf(await client.finalize({ url: finalize, order: task.url, request }, signal));
    }
    case "explain":
      return explain(task.url, client, signal);
    case "download":
      await tools.store(await client.certificate(task.certificate, signal), signal);
      return { is: "stored" };
  }
}

const seenOf = ({ status, url, certificate, retryAfterMs }: OrderObject): OrderEvent & { is: "seen" } => ({
  is: "seen",
  status,
  url,
  ...(certificate !== undefined && { certificate }),
  ...(retryAfterMs !== undefined && { retryAfterMs }),
});

/** What the authority holds against the certificate that is replaced is nothing to the new one. */
async function create(
  names: readonly string[],
  { client, profile, replaces, signal }: OrderTools,
): Promise<OrderObject> {
  try {
    return await client.newOrder({ names, profile, replaces }, signal);
  } catch (thrown) {
    const isOfReplaced = thrown instanceof AcmeError && ["alreadyReplaced", "malformed"].includes(thrown.type);
    if (replaces === undefined || !isOfReplaced) throw thrown;
    return client.newOrder({ names, profile }, signal);
  }
}

async function authorize(url: string, { client, challenge, publish, signal }: OrderTools): Promise<void> {
  const { authorizations } = await client.order(url, signal);
  const all = await Promise.all(authorizations.map((each) => client.authorization(each, signal)));
  const open = all
    .filter(({ status }) => status === "pending")
    .map((authorization) => ({ authorization, found: challengeIn(authorization, challenge) }));
  const answers = open.map(({ authorization, found: { token } }): ChallengeAnswer => {
    const { answer, record } = challengeText(token, client.thumbprint);
    return { name: authorization.identifier.value, token, answer, record };
  });
  await publish(answers, signal);
  for (const { found } of open) if (found.status === "pending") await client.accept(found.url, signal);
}

function challengeIn({ challenges, identifier }: Authorization, type: string) {
  const found = challenges.find((each) => each.type === type);
  if (found?.token === undefined)
    throw new AcmeError(`the authority does not offer ${type} for ${identifier.value}`, { type: "noChallenge" });
  return { ...found, token: found.token };
}

/** By name, what the authority has found. */
async function explain(url: string, client: AcmeClient, signal: AbortSignal): Promise<OrderEvent & { is: "refused" }> {
  const { authorizations, error } = await client.order(url, signal);
  const all = await Promise.all(authorizations.map((each) => client.authorization(each, signal)));
  const names = all
    .filter(({ status }) => status === "invalid")
    .map(({ identifier, challenges }) => {
      const problem = challenges.find((each) => each.error)?.error;
      return { name: identifier.value, says: problem ? saidIn(problem) : "the authority could not validate the name" };
    });
  const says = names.map(({ name, says: why }) => `${name}: ${why}`).join("; ");
  return { is: "refused", type: "invalid", says: says || (error && saidIn(error)) || "the order is invalid", names };
}
