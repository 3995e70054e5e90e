/** What the operator asks for of relay pods, beside their specs. */
import type { ChatmailServer, WrittenSpec } from "../../api/chatmail-server.ts";
import { apiVersion, chatmailServer } from "../../api/names.ts";
import { podPlan } from "./pod-plan.ts";
import { revisionOf, shortDigest } from "./rendered.ts";
import { podTemplate } from "./resources/stateful-set.ts";
import type { OperatorTarget } from "./update.ts";
import type { World } from "./world.ts";

const configurations = new WeakMap<World["resolve"], Map<string, string>>();

/** Of this server, by the operator's version and defaults of now. */
export function targetFor(
  server: ChatmailServer,
  { relayImage, resolve, writtenOf }: Pick<World, "relayImage" | "resolve" | "writtenOf">,
): OperatorTarget {
  const known = configurations.get(resolve) ?? new Map<string, string>();
  configurations.set(resolve, known);
  const configuration = known.get(relayImage) ?? configurationOf(relayImage, resolve);
  known.set(relayImage, configuration);
  const serverWith = (written: unknown) => {
    const resolved = resolve({ ...server, spec: written as WrittenSpec });
    return "spec" in resolved ? { ...server, spec: resolved.spec } : undefined;
  };
  return { relayImage, configuration, written: writtenOf(server.spec), serverWith };
}

/** Between them they have all containers and kinds of volumes. */
const samples: WrittenSpec[] = [
  { domain: "any.example" },
  { domain: "any.example", services: { turn: { enabled: true } }, network: { exposure: "HostPort" } },
];

/**
 * What tells one configuration from another: the pods of servers that do not exist. A version that
 * makes the same pods is the same, and needs no rollout. A server that already was as a version has
 * it proves nothing about that version, so it does not pass for a canary.
 */
function configurationOf(relayImage: string, resolve: World["resolve"]): string {
  const metadata = { name: "any", namespace: "any", uid: "any", generation: 1 };
  const inputs = { tlsSecretName: "any-tls", secretsHash: "", addresses: [] };
  return shortDigest(
    samples.map((spec) => {
      const server = { apiVersion, kind: chatmailServer.kind, metadata, spec };
      const resolved = resolve(server);
      // defaults that fit no such server
      if (!("spec" in resolved)) return [relayImage, resolved.problem.message];
      return revisionOf(podTemplate(podPlan({ ...server, spec: resolved.spec }, inputs, relayImage))).id;
    }),
  );
}
