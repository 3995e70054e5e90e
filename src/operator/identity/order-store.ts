/**
 * The order of a certificate beside the certificate: an annotation of the Secret that is served.
 * What is known of an order and what came of it are written together, so no certificate is paid for
 * twice, and none is lost between two writes.
 */
import * as z from "zod";
import { annotations } from "../../api/names.ts";
import { nothingRemembered, type StoredOrder } from "../../certificates/acme/order.ts";
import { type Client, isApiError } from "../../kube/client.ts";
import { resources } from "../../kube/kinds.ts";
import type { Store } from "../../kube/store.ts";
import type { LiveSecret } from "../server/live.ts";
import { dataOf, textsIn } from "./secret.ts";
import { pairIn } from "./table.ts";

const Stored = z.object({
  memory: z.object({
    failures: z.int().min(0),
    retryTime: z.string().optional(),
    lastError: z.string().optional(),
    left: z.record(z.string(), z.object({ until: z.string(), says: z.string() })),
  }),
  current: z.object({ url: z.string(), names: z.array(z.string()) }).optional(),
  from: z.string().optional(),
  by: z.string().optional(),
});

export interface KeptOrder extends StoredOrder {
  /** Directory and profile that the certificate was ordered from. */
  from?: string | undefined;
  /** Digest of the settings that the rest follows from: with others, an order begins anew. */
  by?: string | undefined;
}

export interface HeldCertificate {
  certificatePem: string;
  keyPem: string;
  order: KeptOrder;
}

export type IssuedPair = Pick<HeldCertificate, "certificatePem" | "keyPem">;

export interface SecretName {
  namespace: string;
  name: string;
}

export interface OrderStore {
  /** Undefined where there is no pair. */
  read: (at: SecretName) => HeldCertificate | undefined;
  /**
   * With a certificate for the key that is there, where one is given: for another key that has come
   * meanwhile nothing is written.
   */
  save: (at: SecretName, order: KeptOrder, issued: IssuedPair | undefined, signal: AbortSignal) => Promise<void>;
}

const orderIn = (text: string | undefined): KeptOrder => {
  try {
    return Stored.parse(JSON.parse(text ?? ""));
  } catch {
    return { memory: nothingRemembered };
  }
};

/** Others write labels and owners of the Secret at the same time. */
const mostTries = 5;

export const orderStore = ({ secrets, client }: { secrets: Store<LiveSecret>; client: Client }): OrderStore => ({
  read: ({ namespace, name }) => {
    const secret = secrets.get(namespace, name);
    const pair = secret && pairIn(textsIn(secret));
    if (!pair) return undefined;
    return { ...pair, order: orderIn(secret.metadata.annotations?.[annotations.acmeOrder]) };
  },
  save: async (at, order, issued, signal) => {
    for (let tried = 1; ; tried++) {
      const secret = (await client.get(resources.secret, at, signal)) ?? undefined;
      if (!secret || (issued && textsIn(secret)["tls.key"] !== issued.keyPem)) return;
      const { resourceVersion } = secret.metadata;
      const patch = {
        metadata: { resourceVersion, annotations: { [annotations.acmeOrder]: JSON.stringify(order) } },
        ...(issued && { data: dataOf({ "tls.crt": issued.certificatePem }) }),
      };
      try {
        secrets.wrote(await client.merge(resources.secret, at, patch, signal));
        return;
      } catch (error) {
        if (!isApiError(error, 409) || tried === mostTries) throw error;
      }
    }
  },
});
