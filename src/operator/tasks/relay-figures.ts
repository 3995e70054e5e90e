/**
 * What a relay reports of itself in figures, and which of them is worth a write: a figure that
 * passes a threshold. Each threshold has two ends; between them a verdict stays what it was. Pure.
 */
import * as z from "zod";

const some = z.int().min(0);
const clients = z.object({ accounts: some, fromOneAddress: some });

/**
 * By relays of earlier versions nothing is reported, and what those of later ones add is ignored.
 */
export const reportedFigures = {
  version: z.string().max(64).optional().catch(undefined),
  storage: z.object({ bytes: some, freeBytes: some, inodes: some, freeInodes: some }).optional().catch(undefined),
  queue: z
    .object({
      oldestMovingSeconds: some,
      lateDestinations: some,
      destinations: z.array(z.object({ domain: z.string().max(260), messages: some })).max(20),
    })
    .optional()
    .catch(undefined),
  accounts: z
    .record(z.string(), z.object({ all: some }))
    .optional()
    .catch(undefined),
  clients: z.object({ ipv4: clients, ipv6: clients }).optional().catch(undefined),
};
const Figures = z.object(reportedFigures);
export type ReportedFigures = z.infer<typeof Figures>;

/** `between`: what was said before is said on. */
export type Level = "alarm" | "between" | "fine";

/**
 * Below `alarm` of bytes or of inodes; fine from `fine` on. A volume refuses mail below a tenth.
 */
export const freeShares = { alarm: 0.15, fine: 0.2 } as const;

export function storageLevel({ storage }: ReportedFigures): Level | undefined {
  if (!storage || storage.bytes === 0) return undefined;
  // some file systems have as many inodes as they need
  const inodes = storage.inodes > 0 ? storage.freeInodes / storage.inodes : 1;
  const free = Math.min(storage.freeBytes / storage.bytes, inodes);
  if (free < freeShares.alarm) return "alarm";
  return free < freeShares.fine ? "between" : "fine";
}

/** Postfix delivers at once: what it holds so long does not move. */
export const movingSeconds = { alarm: 1_800, fine: 600 } as const;
/**
 * Domains that mail has waited for longer than an hour. One that is away is no matter of this
 * relay's; the more accounts, the more of them there are on any day.
 */
export const lateDomains = (accounts: number) => {
  const alarm = Math.max(5, Math.ceil(accounts / 200));
  return { alarm, fine: Math.ceil(alarm / 2) };
};

export function queueLevel({ queue, accounts = {} }: ReportedFigures): Level | undefined {
  if (!queue) return undefined;
  const late = lateDomains(Object.values(accounts).reduce((sum, { all }) => sum + all, 0));
  const { oldestMovingSeconds: oldest, lateDestinations } = queue;
  if (oldest >= movingSeconds.alarm || lateDestinations >= late.alarm) return "alarm";
  return oldest >= movingSeconds.fine || lateDestinations >= late.fine ? "between" : "fine";
}

/** With fewer, one household could be all that there is. */
const leastClients = 20;
const oneAddressShares = { alarm: 0.9, fine: 0.5 } as const;

/**
 * Of each family by itself: a load balancer hides IPv4 clients behind one address, IPv6 ones behind
 * another.
 */
export function clientsLevel({ clients: figures }: ReportedFigures): Level | undefined {
  if (!figures) return undefined;
  const levels = [figures.ipv4, figures.ipv6].map(({ accounts, fromOneAddress }): Level | undefined => {
    if (accounts < leastClients) return undefined;
    const share = fromOneAddress / accounts;
    if (share >= oneAddressShares.alarm) return "alarm";
    return share > oneAddressShares.fine ? "between" : "fine";
  });
  return (["alarm", "between", "fine"] as const).find((level) => levels.includes(level));
}

/** A number of accounts is told again when it has changed by more than a twentieth. */
export const isAlike = (before: number, now: number) => Math.abs(now - before) <= before / 20;

/** Whether nothing of these figures is worth a write. */
export function figuresAreAlike(before: ReportedFigures, now: ReportedFigures): boolean {
  const levels = (of: ReportedFigures) => [of.version, storageLevel(of), queueLevel(of), clientsLevel(of)].join();
  const domains = Object.keys({ ...before.accounts, ...now.accounts });
  const count = (of: ReportedFigures, domain: string) => of.accounts?.[domain]?.all;
  return (
    levels(before) === levels(now) &&
    domains.every((domain) => {
      const [one, other] = [count(before, domain), count(now, domain)];
      return one === other || (one !== undefined && other !== undefined && isAlike(one, other));
    })
  );
}
