/**
 * The plan: what the operator wants of a relay pod, and all that it says to the image. A list of
 * domains with their rules, and what they share. The image makes the configuration of its programs
 * from it, so a plan says what is wanted and never how a program is told.
 *
 * Operator and image may be of different versions. So that they understand each other:
 * - `version` is the least version of this format that understands the plan, not the newest that
 *   the operator knows. A field that an older image may leave out of account (a new page, a new
 *   limit of ours) does not raise it; one that must not be ignored does.
 * - Fields that are not known are ignored.
 * - A field at its built-in value is left out. The built-in values below belong to the format and
 *   never change; where a default of the operator becomes another, the operator writes it.
 */

import * as z from "zod";
import { isAddressLiteral, isIPv6Literal, isSelfSignedDomain } from "../api/domain.ts";
import { firstIssue } from "../lib/issues.ts";
import { isLanguageName } from "./pages/language.ts";

/** The newest version that this code understands. */
export const planVersion = 1;

const mebibyte = 2 ** 20;
const count = z.int().min(0);
const some = z.int().min(1);
const onOff = z.boolean();
/** An address or a range of addresses; ipaddr.js says later whether it is one. */
const network = z
  .string()
  .max(64)
  .regex(/^[0-9A-Fa-f.:]+(\/[0-9]{1,3})?$/, "is no range of addresses");
const url = z
  .string()
  .max(2048)
  .regex(/^https:\/\/[!-~]+$/, "must begin with https://");
const words = z.string().max(4096);

/**
 * What one domain allows, who answers for it and what its users are told of. Sizes are in bytes,
 * times in days.
 */
export const DomainPlan = z.object({
  /** A lower-case DNS name, with _ before it or not, or an IP address. */
  domain: z
    .string()
    .max(253)
    .refine((text) => /^[a-z0-9_]([a-z0-9.-]*[a-z0-9])?$/.test(text) || isIPv6Literal(text), "is no mail domain"),
  accounts: z
    .object({
      registration: z.enum(["Open", "Invite", "Closed"]).default("Open"),
      usernameMinLength: count.default(9),
      usernameMaxLength: count.default(9),
      passwordMinLength: count.default(9),
      sendRatePerMinute: some.default(60),
      sendBurst: some.default(10),
      sendBytesPerMinute: some.default(10 * mebibyte),
      sendBytesBurst: some.default(150 * mebibyte),
      createRatePerMinute: some.default(120),
      createBurst: some.default(300),
      quotaBytes: some.default(500 * mebibyte),
      refuseNew: z
        .object({
          loadPerCoreAbove: z.number().default(10),
          memoryBelowBytes: count.default(200 * mebibyte),
          diskBelowBytes: count.default(1024 * mebibyte),
        })
        .prefault({}),
    })
    .prefault({}),
  messages: z
    .object({
      maxBytes: some.default(30 * mebibyte),
      deleteAfterDays: some.default(20),
      deleteLargeAfterDays: some.default(7),
      inactiveAccountsAfterDays: some.default(90),
    })
    .prefault({}),
  privacy: z
    .object({
      postal: words.optional(),
      mail: words.optional(),
      dataOfficer: words.optional(),
      supervisor: words.optional(),
    })
    .prefault({}),
  website: z
    .object({
      /** The pages are the user's: nothing but the first is known of them. */
      own: onOff.default(false),
      /** By language, texts of the user's own for the built-in pages (pages/own-texts.ts). */
      texts: z
        .record(z.string().refine(isLanguageName, "is no language"), z.record(z.string().max(64), words))
        .optional(),
    })
    .prefault({}),
  certificate: z
    .object({
      /**
       * Browsers are told nothing that would keep them from a page whose certificate they do not
       * know.
       */
      selfSigned: onOff.default(false),
      /**
       * Of the ACME account that orders certificates (RFC 7638): by which port 80 answers for any
       * token that this account, and no other, is to be found there (RFC 8555 §8.3).
       */
      acmeThumbprint: z
        .string()
        .regex(/^[A-Za-z0-9_-]{43}$/, "is no thumbprint")
        .optional(),
    })
    .prefault({}),
  services: z
    .object({
      push: z
        .object({ enabled: onOff.default(true), url: url.default("https://notifications.delta.chat/notify") })
        .prefault({}),
      /** Whether its users are told of the pod's TURN server. */
      turn: onOff.default(false),
      irohUrl: url.optional(),
      /** Whether there is a file of app versions to look for. */
      appVersions: onOff.default(false),
    })
    .prefault({}),
});
export type DomainPlan = z.infer<typeof DomainPlan>;

export const Plan = z.object({
  version: z.int().min(1).max(planVersion),
  domains: z
    .array(DomainPlan)
    .min(1)
    .refine((domains) => new Set(domains.map(({ domain }) => domain)).size === domains.length, "name a domain twice"),
  /**
   * What the pod calls itself in SMTP and in bounces; without it by the name of a domain
   * (`nameDomain`), which users of the others then see.
   */
  hostname: z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, "is no host name")
    .optional(),
  /**
   * At the same time: sessions of IMAP that are awake, sessions of submission on each port,
   * connections of one client to nginx.
   */
  connections: z
    .object({ imap: some.default(10_000), smtp: some.default(1_000), perClient: some.default(1_500) })
    .prefault({}),
  /**
   * The server is about to be deleted: no mail is accepted, and the queue is sent as far as it can
   * be.
   */
  closing: onOff.default(false),
  /** Free room on the volume below which no mail is accepted. */
  reservedBytes: count.default(1024 * mebibyte),
  /**
   * Where a load balancer connects from that begins each connection with a PROXY header; without it
   * nobody may send one.
   */
  proxyProtocol: z.object({ trustedNetworks: z.array(network).min(1) }).optional(),
  /**
   * Where a proxy connects from that has the ports 80 and 443 of the world and passes them on; to
   * 443 with a PROXY header.
   */
  edge: z.object({ trustedNetworks: z.array(network).min(1) }).optional(),
  /** The pod's resolvers validate DNSSEC and are trusted to say so. */
  dnssec: onOff.default(false),
  /** Special-purpose networks that may be connected to, and others that may not (networks.ts). */
  privatePeers: z.array(network).default([]),
  refusedPeers: z.array(network).default([]),
  /** UDP ports of the TURN server, where one runs. */
  turn: z.object({ firstRelayPort: some, relayPorts: some }).optional(),
});
export type Plan = z.infer<typeof Plan>;
/** As it is written: with what differs from the built-in values alone. */
export type WrittenPlan = z.input<typeof Plan>;

/** What is wrong with a plan, in one sentence for a person. */
export class PlanError extends Error {
  override readonly name = "PlanError";
}

/** Throws PlanError for text that is no plan, or one that needs a newer image. */
export function parsePlan(text: string): Plan {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    throw new PlanError("it is not JSON", { cause: thrown });
  }
  const version = (json as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > planVersion)
    throw new PlanError(`it needs an image that knows version ${version} of plans; this one knows ${planVersion}`);
  const plan = Plan.safeParse(json);
  if (plan.success) return plan.data;
  throw new PlanError(firstIssue(plan.error));
}

type Domains = Pick<Plan, "domains">;

/**
 * The domain that a client gets that names none in TLS, or none that is here. An IP address can't
 * be named there.
 */
export function mainDomain({ domains }: Domains): DomainPlan {
  const main = domains.find(({ domain }) => isAddressLiteral(domain)) ?? domains[0];
  if (!main) throw new PlanError("it has no domain");
  return main;
}

/** The others, in their order. */
export function otherDomains(plan: Domains): readonly DomainPlan[] {
  const main = mainDomain(plan);
  return plan.domains.filter((each) => each !== main);
}

/**
 * The domain by which the pod calls itself to other servers: the first whose name they can look up,
 * if one is such a name.
 */
export function nameDomain({ domains }: Domains): DomainPlan {
  const [first] = domains.toSorted((a, b) => strangeness(a.domain) - strangeness(b.domain));
  if (!first) throw new PlanError("it has no domain");
  return first;
}

const strangeness = (domain: string) => (isAddressLiteral(domain) ? 2 : isSelfSignedDomain(domain) ? 1 : 0);
