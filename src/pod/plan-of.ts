/**
 * The plan of one server, from its spec. Pure: the same spec gives the same bytes, whatever the
 * version of the operator.
 */
import type { ChatmailServerSpec } from "../api/chatmail-server.ts";
import { bytesOf } from "../api/quantity.ts";
import type { OwnTexts } from "./pages/texts.ts";
import { DomainPlan, Plan, type WrittenPlan } from "./plan.ts";

/** What is there of what the spec names. */
export interface PublishedFiles {
  /** False: the pages that the spec names can't be published, so the built-in ones are. */
  ownPages?: boolean;
  /** Those that can be used of what the pages name. */
  texts?: OwnTexts | undefined;
}

export interface PlanOptions extends PublishedFiles {
  /** The server is being deleted: no mail and no accounts, whatever the spec says. */
  closing?: boolean;
  /** Of the ACME account that may get certificates for the domain. */
  acmeThumbprint?: string | undefined;
}

/** With the fields that differ from the built-in values of the format. */
export function planOf(
  spec: ChatmailServerSpec,
  { ownPages = true, texts = {}, closing = false, acmeThumbprint }: PlanOptions = {},
): WrittenPlan {
  const { accounts, certificate, domain, messages, network, privacy, services, storage, website } = spec;
  const { turn } = services;
  const whole: Plan = {
    version: 1,
    domains: [
      {
        domain,
        accounts: {
          registration: closing ? "Closed" : accounts.registration,
          usernameMinLength: accounts.usernameMinLength,
          usernameMaxLength: accounts.usernameMaxLength,
          passwordMinLength: accounts.passwordMinLength,
          sendRatePerMinute: accounts.sendRatePerMinute,
          sendBurst: accounts.sendBurst,
          sendBytesPerMinute: bytesOf(accounts.sendSizePerMinute),
          sendBytesBurst: bytesOf(accounts.sendSizeBurst),
          createRatePerMinute: accounts.createRatePerMinute,
          createBurst: accounts.createBurst,
          quotaBytes: bytesOf(accounts.mailboxQuota),
          refuseNew: {
            loadPerCoreAbove: accounts.refuseNew.loadPerCoreAbove,
            memoryBelowBytes: bytesOf(accounts.refuseNew.memoryBelow),
            diskBelowBytes: bytesOf(accounts.refuseNew.diskBelow),
          },
        },
        messages: {
          maxBytes: bytesOf(messages.maxSize),
          deleteAfterDays: messages.deleteAfterDays,
          deleteLargeAfterDays: messages.deleteLargeAfterDays,
          inactiveAccountsAfterDays: accounts.deleteInactiveAfterDays,
        },
        privacy: {
          postal: privacy.postal,
          mail: privacy.mail,
          dataOfficer: privacy.dataOfficer,
          supervisor: privacy.supervisor,
        },
        website: {
          own: ownPages && website.configMapName !== undefined,
          texts: Object.keys(texts).length > 0 ? texts : undefined,
        },
        certificate: { selfSigned: certificate.source === "SelfSigned", acmeThumbprint },
        services: {
          push: services.push,
          turn: turn.enabled,
          irohUrl: services.iroh.url,
          appVersions: services.appVersions.configMapName !== undefined,
        },
      },
    ],
    connections: {
      imap: network.connections.imap,
      smtp: network.connections.submission,
      perClient: network.connections.perClient,
    },
    closing,
    reservedBytes: reservedBytes(storage),
    proxyProtocol: network.proxyProtocol,
    edge: edgeOf(network.web),
    dnssec: network.dnssecResolvers !== undefined,
    privatePeers: network.privatePeers ?? [],
    refusedPeers: network.refusedPeers ?? [],
    turn: turn.enabled ? turnPlanOf(turn) : undefined,
  };
  const domains = whole.domains.map((each) => ({
    ...differences(each, builtInOfDomain),
    domain: each.domain,
  }));
  return { version: whole.version, ...differences({ ...whole, domains: undefined }, builtIn), domains };
}

/** As it stands in the ConfigMap. */
export function planText(plan: WrittenPlan): string {
  return `${JSON.stringify(plan, null, 2)}\n`;
}

const builtInOfDomain = DomainPlan.parse({ domain: "any" });
const builtIn = { ...Plan.parse({ version: 1, domains: [{ domain: "any" }] }), domains: undefined };

/** The ports that calls pass through, in the words of the plan. */
export function turnPlanOf({
  firstRelayPort,
  relayPortCount,
}: Pick<ChatmailServerSpec["services"]["turn"], "firstRelayPort" | "relayPortCount">): NonNullable<Plan["turn"]> {
  return { firstRelayPort, relayPorts: relayPortCount };
}

function reservedBytes({ size, reservedForMailboxes }: ChatmailServerSpec["storage"]): number {
  return reservedForMailboxes === undefined ? Math.floor(bytesOf(size) / 10) : bytesOf(reservedForMailboxes);
}

const edgeOf = ({ mode, trustedNetworks }: ChatmailServerSpec["network"]["web"]): Plan["edge"] =>
  mode === "Edge" && trustedNetworks ? { trustedNetworks } : undefined;

type Fields = Readonly<Record<string, unknown>>;

/** The fields of `value` that are not as in `from`, at any depth; lists are compared whole. */
function differences<Value extends object>(value: Value, from: object): Partial<Value> {
  const entries = Object.entries(value).flatMap(([name, field]) => {
    const other = (from as Fields)[name];
    if (isFields(field) && isFields(other)) {
      const inner = differences(field, other);
      return Object.keys(inner).length > 0 ? [[name, inner]] : [];
    }
    return field === undefined || JSON.stringify(field) === JSON.stringify(other) ? [] : [[name, field]];
  });
  return Object.fromEntries(entries) as Partial<Value>;
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
