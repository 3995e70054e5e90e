/** CPU and memory of the containers. */
import * as z from "zod";
import { text } from "../schema.ts";

const computeAmount = (name: string) =>
  text({
    name,
    pattern: "^([1-9][0-9]{0,14}(m|k|M|G|T|Ki|Mi|Gi|Ti)?|[0-9]{1,6}[.][0-9]{1,3})$",
    says: "an amount as Kubernetes has them, such as 250m, 2 or 128Mi",
    maxLength: 20,
  });

const amounts = z.object({
  cpu: computeAmount("cpu").optional().describe("Processor cores, such as 250m."),
  memory: computeAmount("memory").optional().describe("Memory, such as 128Mi."),
});

const containerResources = z.object({
  requests: amounts.optional().describe("Resources that are reserved for the container."),
  limits: amounts.optional().describe("Maximum resources of the container."),
});

export const Resources = z
  .object({
    postfix: containerResources.optional().describe("For Postfix."),
    dovecot: containerResources.optional().describe("For Dovecot."),
    relay: containerResources.optional().describe("For the relay daemon."),
    web: containerResources.optional().describe("For nginx."),
    turn: containerResources.optional().describe("For the TURN server, if it is enabled."),
    expiry: containerResources.optional().describe("For the daily expiry job."),
    backup: containerResources.optional().describe("For the backup job."),
  })
  .describe(
    "CPU and memory of each container of the relay pod. Defaults: requests for an idle relay, and memory limits that suffice for the sessions that network.connections allows.",
  );
