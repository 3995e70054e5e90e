/** One order at an ACME server, without the operator's waits between its steps. */
import type { AcmeClient } from "../../src/certificates/acme/client.ts";
import { next, nothingRemembered, type Order, type OrderEvent } from "../../src/certificates/acme/order.ts";
import { type OrderTools, perform } from "../../src/certificates/acme/perform.ts";
import { newCertificateKey } from "../../src/certificates/acme/request.ts";

export interface OrderedNames {
  domain: string;
  optional?: readonly string[];
}

export interface OrderRun {
  order: Order;
  states: string[];
  certificatePem: string;
  keyPem: string;
}

/** Until there is a certificate, or it has to wait. */
export async function runOrder(
  client: AcmeClient,
  of: OrderedNames,
  more: Partial<OrderTools> = {},
): Promise<OrderRun> {
  const keyPem = more.keyPem ?? newCertificateKey();
  let certificatePem = "";
  const tools: OrderTools = {
    client,
    challenge: "http-01",
    keyPem,
    publish: async () => undefined,
    store: async (pem) => {
      certificatePem = pem;
    },
    signal: new AbortController().signal,
    ...more,
  };
  const wanted: OrderEvent = { is: "wanted", domain: of.domain, optional: of.optional ?? [] };
  let order: Order = { is: "Idle", memory: nothingRemembered };
  let event: OrderEvent = wanted;
  const states: string[] = [];
  for (;;) {
    const step = next(order, event, new Date());
    order = step.order;
    if (states.at(-1) !== order.is) states.push(order.is);
    if (step.task?.do === "wait" || certificatePem) return { order, states, certificatePem, keyPem };
    // at once, whatever the server asks for: this one does not mind
    event = step.task ? await perform(step.task, tools) : wanted;
  }
}
