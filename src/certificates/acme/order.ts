/**
 * One certificate on its way from an ACME server (RFC 8555 §7.1.6), as a state machine: what
 * happened and the state before give the state after and what to do next. Pure. What has to outlive
 * the process is `StoredOrder`: an order that was paid for with a share of the authority's limits
 * is finished and not begun again.
 */

/** What is remembered from one order to the next. */
export interface OrderMemory {
  /** In a row. */
  failures: number;
  /** Nothing is requested before. */
  retryTime?: string | undefined;
  lastError?: string | undefined;
  /** Names that the certificate can do without and that the authority refused, until when. */
  left: Readonly<Record<string, { until: string; says: string }>>;
}

export const nothingRemembered: OrderMemory = { failures: 0, left: {} };

/** `names`: what is ordered, the domain first. */
export type Order = { memory: OrderMemory } & (
  | { is: "Idle" }
  | { is: "Creating"; names: readonly string[] }
  /** The answers to its challenges are being put where the authority looks. */
  | { is: "Authorizing"; names: readonly string[]; url: string }
  | { is: "Validating"; names: readonly string[]; url: string; since: string }
  | { is: "Finalizing"; names: readonly string[]; url: string }
  | { is: "Issuing"; names: readonly string[]; url: string; since: string }
  | { is: "Downloading"; names: readonly string[]; url: string; certificate: string }
);

/** What outlives the process. */
export interface StoredOrder {
  memory: OrderMemory;
  current?: { url: string; names: readonly string[] } | undefined;
}

export type OrderStatus = "pending" | "ready" | "processing" | "valid" | "invalid";

export type OrderEvent =
  /** A certificate for these names is needed, or it is time to go on. */
  | { is: "wanted"; domain: string; optional: readonly string[] }
  | {
      is: "seen";
      status: OrderStatus;
      url: string;
      certificate?: string | undefined;
      retryAfterMs?: number | undefined;
    }
  /** The authority was told to look. */
  | { is: "answered" }
  | Refusal
  /** The certificate is where it is served from. */
  | { is: "stored" };

export interface Refusal {
  is: "refused";
  /** The last part of an ACME problem type, or "unreachable". */
  type: string;
  says: string;
  names: readonly { name: string; says: string }[];
  retryAfterMs?: number | undefined;
}

export type OrderTask =
  | { do: "create"; names: readonly string[] }
  | { do: "authorize"; url: string; names: readonly string[] }
  | { do: "look"; url: string; afterMs: number }
  | { do: "finalize"; url: string; names: readonly string[] }
  /** Which names were refused, and why. */
  | { do: "explain"; url: string }
  | { do: "download"; url: string; certificate: string }
  | { do: "wait"; until: string };

export interface Step {
  order: Order;
  task?: OrderTask;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Some authorities take minutes; what takes longer is given up. */
const mostPendingMs = 15 * minuteMs;
const lookAgainMs = 2_000;
/** So long is a name that was refused not ordered again. */
const leftMs = 24 * hourMs;

/** The server may do it if it is asked again; what was ordered stays ordered. */
const passing: readonly string[] = ["unreachable", "serverInternal", "rateLimited", "badNonce"];

export const storedOf = (order: Order): StoredOrder =>
  "url" in order ? { memory: order.memory, current: { url: order.url, names: order.names } } : { memory: order.memory };

/**
 * It is looked at before anything else is done with it; challenges that nobody has answered yet are
 * answered then.
 */
export const resumed = ({ memory, current }: StoredOrder): Order =>
  current ? { is: "Authorizing", ...current, memory } : { is: "Idle", memory };

export function next(order: Order, event: OrderEvent, now: Date): Step {
  switch (event.is) {
    case "wanted":
      return wanted(order, event, now);
    case "seen":
      return seen(order, event, now);
    case "answered":
      if (order.is !== "Authorizing") return { order };
      return {
        order: { ...order, is: "Validating", since: now.toISOString() },
        task: { do: "look", url: order.url, afterMs: lookAgainMs / 2 },
      };
    case "refused":
      return refused(order, event, now);
    case "stored":
      return { order: { is: "Idle", memory: { failures: 0, left: order.memory.left } } };
  }
}

function wanted(order: Order, { domain, optional }: Extract<OrderEvent, { is: "wanted" }>, now: Date): Step {
  const { memory } = order;
  if (memory.retryTime !== undefined && new Date(memory.retryTime) > now)
    return { order, task: { do: "wait", until: memory.retryTime } };
  if ("url" in order) {
    const { names, url } = order;
    return { order: { is: "Authorizing", names, url, memory }, task: { do: "look", url, afterMs: 0 } };
  }
  const names = [domain, ...optional.filter((name) => !isLeft(memory, name, now))];
  return { order: { is: "Creating", names, memory }, task: { do: "create", names } };
}

/** Whether the name is not ordered at the moment, because the authority refused it. */
export function isLeft({ left }: OrderMemory, name: string, now: Date): boolean {
  const until = left[name]?.until;
  return until !== undefined && new Date(until) > now;
}

function seen(order: Order, event: Extract<OrderEvent, { is: "seen" }>, now: Date): Step {
  if (order.is === "Idle") return { order };
  const { names, memory } = order;
  const { url, status, certificate, retryAfterMs } = event;
  const at = { names, memory, url };
  const since = "since" in order ? order.since : now.toISOString();
  const again: OrderTask = { do: "look", url, afterMs: Math.max(lookAgainMs / 2, retryAfterMs ?? lookAgainMs) };
  switch (status) {
    case "pending":
      if (order.is !== "Validating")
        return { order: { ...at, is: "Authorizing" }, task: { do: "authorize", url, names } };
      if (now.getTime() - Date.parse(since) > mostPendingMs)
        return failed(order, { type: "timeout", says: "the authority has not validated the names in time" }, now);
      return { order: { ...at, is: "Validating", since }, task: again };
    case "ready":
      return { order: { ...at, is: "Finalizing" }, task: { do: "finalize", url, names } };
    case "processing":
      if (now.getTime() - Date.parse(since) > mostPendingMs)
        return failed(order, { type: "timeout", says: "the authority has not issued the certificate in time" }, now);
      return { order: { ...at, is: "Issuing", since }, task: again };
    case "valid":
      if (certificate === undefined)
        return failed(order, { type: "malformed", says: "the order is valid and has no certificate" }, now);
      return {
        order: { ...at, is: "Downloading", certificate },
        task: { do: "download", url, certificate },
      };
    case "invalid":
      return { order: { ...at, is: "Validating", since }, task: { do: "explain", url } };
  }
}

function refused(order: Order, event: Refusal, now: Date): Step {
  const { memory } = order;
  const [domain] = "names" in order ? order.names : [];
  const own = event.names.find(({ name }) => name === domain);
  if (event.names.length > 0 && !own) {
    // the certificate can do without them: it is ordered again at once
    const until = new Date(now.getTime() + leftMs).toISOString();
    const left = Object.fromEntries(event.names.map(({ name, says }) => [name, { until, says: says.slice(0, 500) }]));
    return { order: { is: "Idle", memory: { ...memory, left: { ...memory.left, ...left } } } };
  }
  return failed(order, own ? { ...event, says: own.says } : event, now);
}

type Failed = Pick<Refusal, "type" | "says" | "retryAfterMs">;

function failed(order: Order, { type, says, retryAfterMs = 0 }: Failed, now: Date): Step {
  const failures = order.memory.failures + 1;
  const waitMs = Math.max(retryAfterMs, backOff(type, failures));
  const retryTime = new Date(now.getTime() + waitMs).toISOString();
  const memory = { ...order.memory, failures, retryTime, lastError: says };
  const stays = passing.includes(type) && "url" in order;
  return {
    order: stays ? { ...order, memory } : { is: "Idle", memory },
    task: { do: "wait", until: retryTime },
  };
}

/**
 * Half a minute and more for what passes by itself. Of refused validations authorities allow a few
 * an hour (Let's Encrypt: five for each name): 3, 6, 12, 24 minutes, and so on up to six hours.
 */
function backOff(type: string, failures: number): number {
  const isPassing = passing.includes(type);
  const first = isPassing ? minuteMs / 2 : 3 * minuteMs;
  return Math.min(isPassing ? hourMs : 6 * hourMs, first * 2 ** Math.min(failures - 1, 12));
}
