/**
 * What is read and written of cert-manager, which a cluster may be without: its kinds are looked up
 * when a server wants them, and nothing of it is watched. That a certificate was issued is told by
 * its Secret.
 */
import { isApiError } from "../kube/api-error.ts";
import type { Client } from "../kube/client.ts";
import type { KubeObject, Resource } from "../kube/object.ts";
import { BoundedMap } from "../lib/bounded-map.ts";
import type { Problem } from "./problem.ts";

const group = "cert-manager.io";

export interface CertCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface Certificate extends KubeObject {
  spec: {
    secretName: string;
    dnsNames?: readonly string[];
    ipAddresses?: readonly string[];
    issuerRef: IssuerRef;
    usages?: readonly string[];
    privateKey?: { algorithm?: "ECDSA" | "RSA"; size?: number; rotationPolicy?: "Never" | "Always" };
  };
  status?: { conditions?: readonly CertCondition[] };
}

export interface IssuerRef {
  name: string;
  kind: string;
  group: string;
}

interface Issuer extends KubeObject {
  spec?: { acme?: { server?: string } };
  status?: { acme?: { uri?: string }; conditions?: readonly CertCondition[] };
}

export const certificates: Resource<Certificate> = {
  group,
  version: "v1",
  kind: "Certificate",
  plural: "certificates",
};
const issuers: Readonly<Record<string, Resource<Issuer>>> = {
  Issuer: { group, version: "v1", kind: "Issuer", plural: "issuers" },
  ClusterIssuer: { group, version: "v1", kind: "ClusterIssuer", plural: "clusterissuers", clusterScoped: true },
};

/** What is known of an issuer. All is undefined where it can't be read. */
export interface SeenIssuer {
  /** Why it issues nothing. */
  problem?: string | undefined;
  /** Its ACME directory, and the account with which it orders. */
  acmeServer?: string | undefined;
  accountURI?: string | undefined;
}

const thereMs = 600_000;
const absentMs = 30_000;
const mostIssuers = 256;

interface Remembered<T> {
  value: Promise<T>;
  untilMs: number;
}

export class CertManager {
  readonly #client: Pick<Client, "get" | "listPage">;
  readonly #now: () => number;
  /** By namespace: rights are given by namespace. */
  readonly #kinds = new BoundedMap<string, Remembered<Problem | undefined>>(1_000);
  readonly #issuers = new BoundedMap<string, Remembered<SeenIssuer>>(mostIssuers);

  constructor(client: Pick<Client, "get" | "listPage">, now: () => number = () => performance.now()) {
    this.#client = client;
    this.#now = now;
  }

  /** Why no certificate can be requested in a namespace; asked again after half a minute. */
  missing(namespace: string, signal: AbortSignal): Promise<Problem | undefined> {
    return this.#remembered(
      this.#kinds,
      namespace,
      () => this.#look(namespace, signal),
      (problem) => !problem,
    );
  }

  issuer(ref: IssuerRef, namespace: string, signal: AbortSignal): Promise<SeenIssuer> {
    const key = `${ref.group}/${ref.kind} ${ref.kind === "ClusterIssuer" ? "" : namespace}/${ref.name}`;
    const read = () => this.#read(ref, namespace, signal);
    return this.#remembered(this.#issuers, key, read, ({ problem }) => problem === undefined);
  }

  async #look(namespace: string, signal: AbortSignal): Promise<Problem | undefined> {
    try {
      await this.#client.listPage(certificates, { namespace, limit: 1, metadataOnly: true }, signal);
      return undefined;
    } catch (error) {
      if (isApiError(error, 404))
        return {
          reason: "CertManagerMissing",
          message: `the cluster has no cert-manager (${group}/v1): install it, or let the certificate come from another source (certificate.source)`,
        };
      if (isApiError(error, 403))
        return {
          reason: "CertManagerMissing",
          message: `the operator may not use Certificates of cert-manager in namespace ${namespace}: give it the rights of its chart (${error.message})`,
        };
      throw error;
    }
  }

  /** Issuers of other groups have other fields. */
  async #read(ref: IssuerRef, namespace: string, signal: AbortSignal): Promise<SeenIssuer> {
    const resource = ref.group === group ? issuers[ref.kind] : undefined;
    if (!resource) return {};
    const at = resource.clusterScoped ? { name: ref.name } : { namespace, name: ref.name };
    try {
      const found = await this.#client.get(resource, at, signal);
      if (!found) {
        const where = resource.clusterScoped ? "" : ` in namespace ${namespace}`;
        return { problem: `there is no ${ref.kind} ${ref.name}${where}` };
      }
      const { status, spec } = found;
      const ready = status?.conditions?.find(({ type }) => type === "Ready");
      const problem =
        ready?.status === "True"
          ? undefined
          : `${ref.kind} ${ref.name} is not ready: ${ready?.message ?? "it has no status"}`;
      return { problem, acmeServer: spec?.acme?.server, accountURI: status?.acme?.uri };
    } catch (error) {
      // an operator with rights in namespaces alone reads no ClusterIssuer
      if (isApiError(error, 403)) return {};
      throw error;
    }
  }

  #remembered<T>(
    all: BoundedMap<string, Remembered<T>>,
    key: string,
    ask: () => Promise<T>,
    isFine: (value: T) => boolean,
  ): Promise<T> {
    const known = all.use(key);
    if (known && known.untilMs > this.#now()) return known.value;
    const entry: Remembered<T> = { value: ask(), untilMs: this.#now() + absentMs };
    all.set(key, entry);
    entry.value.then(
      (value) => {
        if (isFine(value)) entry.untilMs = this.#now() + thereMs;
      },
      () => {
        entry.untilMs = 0;
      },
    );
    return entry.value;
  }
}
