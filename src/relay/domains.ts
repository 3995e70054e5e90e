/**
 * The table of domains, as the daemon asks it: whose is this address, where does it live, what may
 * it do.
 */
import { join } from "node:path";
import { isAddressLiteral } from "../api/domain.ts";
import { mailDomainOf, plainAddress } from "../mail/address.ts";
import type { DomainLimits, RelayConfig } from "../pod/relay-config.ts";

/** An address of one of our domains, in the one spelling that accounts have. */
export interface LocalAddress {
  address: string;
  local: string;
  domain: string;
  limits: DomainLimits;
  /** The account's folder; it need not exist. */
  home: string;
}

export type Domains = Pick<RelayConfig, "domains" | "mailFolder">;

/**
 * Local parts that can be accounts. A local part of dots alone can't be a path trick: the folder's
 * name has an @ and a domain behind it.
 */
const localPart = /^[a-z0-9._-]{1,64}$/;

export function limitsOfDomain(config: Domains, domain: string): DomainLimits | undefined {
  return Object.hasOwn(config.domains, domain) ? config.domains[domain] : undefined;
}

/** The one of our domains that an address belongs to, whatever stands before the @. */
export function ourDomainOf(config: Domains, address: string): string | undefined {
  const domain = mailDomainOf(address);
  return domain !== undefined && limitsOfDomain(config, domain) ? domain : undefined;
}

/** Whether mail for this address is ours. */
export function isOurs(config: Domains, address: string): boolean {
  return ourDomainOf(config, address) !== undefined;
}

/**
 * The account that an address means: exactly one @, one of our domains, a local part that an
 * account can have. Undefined for all else.
 */
export function localAddress(config: Domains, text: string): LocalAddress | undefined {
  const address = text.toLowerCase();
  const [local = "", domainText = ""] = address.split("@");
  const domain = mailDomainOf(address);
  if (domain === undefined || !localPart.test(local)) return undefined;
  // "a@1.2.3.4" is no address of the domain 1.2.3.4; "a@[1.2.3.4]" is
  if (isAddressLiteral(domain) !== domainText.startsWith("[")) return undefined;
  const limits = limitsOfDomain(config, domain);
  if (!limits) return undefined;
  return { address, local, domain, limits, home: join(config.mailFolder, domain, address) };
}

/**
 * As localAddress, for a recipient: what follows a + in the local part is a detail that delivery
 * leaves out.
 */
export function localRecipient(config: Domains, text: string): LocalAddress | undefined {
  return localAddress(config, text.replace(/^([^@+]+)\+[^@]*@/, "$1@"));
}

/**
 * A recipient in the one spelling that decisions are made by. Undefined for what has to be refused:
 * Postfix would deliver other spellings of an account's address (quoted, without a domain, by a
 * source route) to that account, past what was decided for it.
 */
export function plainRecipient(config: Domains, text: string): string | undefined {
  const address = plainAddress(text);
  if (address === undefined || (isOurs(config, address) && !localRecipient(config, address))) return undefined;
  return address;
}
