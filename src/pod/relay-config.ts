/**
 * What the relay daemon and the expiry job go by, as it follows from the plan.
 * A table of domains from the first day, so that one daemon can answer for many.
 */
import * as z from "zod";
import { ports } from "../mail/ports.ts";
import { dkimFolder } from "./dkim.ts";
import { dovecotFieldsOf } from "./dovecot.ts";
import { domainFolder, folders } from "./layout.ts";
import type { DomainPlan, Plan } from "./plan.ts";
import { turnSecretFile } from "./turn.ts";

const count = z.int().min(0);

/** The key in the ConfigMap of app versions. */
export const appVersionsKey = "appversions.json";

/** What one domain allows, in bytes, days and characters. */
export const DomainLimits = z.object({
  registration: z.enum(["Open", "Invite", "Closed"]),
  usernameMinLength: count,
  usernameMaxLength: count,
  passwordMinLength: count,
  sendRatePerMinute: z.int().min(1),
  sendBurst: z.int().min(1),
  sendBytesPerMinute: z.int().min(1),
  sendBytesBurst: z.int().min(1),
  createRatePerMinute: z.int().min(1),
  createBurst: z.int().min(1),
  quotaBytes: count,
  maxMessageBytes: count,
  deleteAfterDays: z.int().min(1),
  deleteLargeAfterDays: z.int().min(1),
  inactiveAccountsAfterDays: z.int().min(1),
  refuseNew: z.object({ loadPerCoreAbove: z.number(), memoryBelowBytes: count, diskBelowBytes: count }),
  /** Each file in it is an invite; asked for at registration Invite. */
  invitesFolder: z.string().optional(),
});
export type DomainLimits = z.infer<typeof DomainLimits>;

export const RelayConfig = z.object({
  /** By the raw mail domain ("1.2.3.4", "2001:db8::9" for an address literal), lower-case. */
  domains: z.record(z.string(), DomainLimits),
  /** By mail domain, the folder of its keys (dkim.ts); a domain that is not here does not sign. */
  dkim: z.record(z.string(), z.string()),
  mailFolder: z.string(),
  runFolder: z.string(),
  /**
   * Where each domain has a folder with its certificate; what is in it is served once it is found
   * sound.
   */
  tlsFolder: z.string().optional(),
  /** By mail domain, where push tokens go; devices of a domain that is not here are not woken. */
  push: z.record(z.string(), z.object({ url: z.string() })).optional(),
  /**
   * By mail domain, settings of Dovecot that its accounts have instead of those in the
   * configuration.
   */
  dovecot: z.record(z.string(), z.record(z.string(), z.string())).optional(),
  /** No mail is accepted any more, and the queue is sent as far as it can be. */
  closing: z.boolean().optional(),
  /** Each connection to the public ports begins with a PROXY header. */
  proxyProtocol: z.boolean().optional(),
  /** The resolvers validate DNSSEC and are trusted to say so. */
  dnssec: z.boolean().optional(),
  /**
   * Networks, as CIDR ranges, that the relay may connect to although they are special-purpose
   * (networks.ts).
   */
  privatePeers: z.array(z.string()).optional(),
  /** Networks that it may not connect to although they are not. */
  refusedPeers: z.array(z.string()).optional(),
  /** Mail domains whose pages are the user's: nothing but the first is known of them. */
  ownPages: z.array(z.string()).optional(),
  /** By mail domain and language, texts of the user's own for the built-in pages. */
  texts: z.record(z.string(), z.record(z.string(), z.record(z.string(), z.string()))).optional(),
  /** By mail domain, the file of JSON that clients ask for as the METADATA entry `appversions`. */
  appVersions: z.record(z.string(), z.string()).optional(),
  /**
   * By mail domain, the TURN server that its users are told of, with the file of the secret that
   * credentials are made with.
   */
  turn: z.record(z.string(), z.object({ host: z.string(), port: z.int(), secretFile: z.string() })).optional(),
  /** The ports of the TURN server that carry calls. */
  turnPorts: z.object({ first: z.int(), count: z.int() }).optional(),
  /** By mail domain, the URL of the iroh relay that its users are told of. */
  iroh: z.record(z.string(), z.string()).optional(),
  logLevel: z.enum(["error", "warn", "info", "debug", "trace"]),
});
export type RelayConfig = z.infer<typeof RelayConfig>;

function limitsOf({ domain, accounts, messages }: DomainPlan): DomainLimits {
  return {
    registration: accounts.registration,
    usernameMinLength: accounts.usernameMinLength,
    usernameMaxLength: accounts.usernameMaxLength,
    passwordMinLength: accounts.passwordMinLength,
    sendRatePerMinute: accounts.sendRatePerMinute,
    sendBurst: accounts.sendBurst,
    sendBytesPerMinute: accounts.sendBytesPerMinute,
    // one mail of the size that is allowed, at least
    sendBytesBurst: Math.max(accounts.sendBytesBurst, messages.maxBytes),
    createRatePerMinute: accounts.createRatePerMinute,
    createBurst: accounts.createBurst,
    quotaBytes: accounts.quotaBytes,
    maxMessageBytes: messages.maxBytes,
    deleteAfterDays: messages.deleteAfterDays,
    deleteLargeAfterDays: messages.deleteLargeAfterDays,
    inactiveAccountsAfterDays: messages.inactiveAccountsAfterDays,
    refuseNew: accounts.refuseNew,
    ...(accounts.registration === "Invite" && { invitesFolder: domainFolder(folders.invites, domain) }),
  };
}

export function relayConfig(plan: Plan): RelayConfig {
  const ofDomains = <Value>(of: (domain: DomainPlan) => Value | undefined): Record<string, Value> =>
    Object.fromEntries(
      plan.domains.flatMap((each) => {
        const value = of(each);
        return value === undefined ? [] : [[each.domain, value] as const];
      }),
    );
  const push = ofDomains(({ services: { push } }) => (push.enabled ? { url: push.url } : undefined));
  const dovecot = ofDomains((domain) => dovecotFieldsOf(domain, plan));
  const appVersions = ofDomains(({ domain, services }) =>
    services.appVersions ? `${domainFolder(folders.appVersions, domain)}/${appVersionsKey}` : undefined,
  );
  const iroh = ofDomains(({ services }) => services.irohUrl);
  const ownPages = plan.domains.filter(({ website }) => website.own).map(({ domain }) => domain);
  const texts = ofDomains(({ website }) => website.texts);
  const unlessEmpty = <Name extends string, Table extends object>(name: Name, table: Table) =>
    Object.keys(table).length > 0 ? ({ [name]: table } as Record<Name, Table>) : {};
  return {
    domains: ofDomains(limitsOf),
    dkim: ofDomains(({ domain }) => dkimFolder(domain)),
    mailFolder: folders.mail,
    runFolder: folders.run,
    tlsFolder: folders.tls,
    ...(plan.closing && { closing: true }),
    ...(plan.proxyProtocol && { proxyProtocol: true }),
    ...(plan.dnssec && { dnssec: true }),
    ...(plan.privatePeers.length > 0 && { privatePeers: plan.privatePeers }),
    ...(plan.refusedPeers.length > 0 && { refusedPeers: plan.refusedPeers }),
    ...unlessEmpty("ownPages", ownPages),
    ...unlessEmpty("texts", texts),
    ...unlessEmpty("push", push),
    ...unlessEmpty("dovecot", dovecot),
    ...unlessEmpty("appVersions", appVersions),
    // an address literal stands here without brackets: clients look the text up as it is
    ...(plan.turn && {
      turn: ofDomains(({ domain, services }) =>
        services.turn ? { host: domain, port: ports.turn, secretFile: turnSecretFile } : undefined,
      ),
    }),
    ...(plan.turn && { turnPorts: { first: plan.turn.firstRelayPort, count: plan.turn.relayPorts } }),
    ...unlessEmpty("iroh", iroh),
    logLevel: "info",
  };
}
