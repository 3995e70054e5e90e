/**
 * What the last backup has saved, or why none was made: the job's container leaves it as
 * termination message, so that no log has to be read. Pure.
 */
import * as z from "zod";
import { labels } from "../../api/names.ts";
import type { LivePod } from "./live.ts";
import type { Component } from "./resources/child.ts";

const some = z.int().min(0);
const Report = z.object({ name: z.string(), size: some, accounts: some, messages: some });
const DrillReport = z.object({ name: z.string(), time: z.iso.datetime(), accounts: some });
export type BackupReport = z.infer<typeof Report>;
export type DrillReport = z.infer<typeof DrillReport>;
const Problem = z.object({ problem: z.string() });

/** `problem`: of the pod that ended last, where it failed. `waits`: why one does not start. */
export interface SeenReports<Report = BackupReport> {
  report?: Report | undefined;
  problem?: string | undefined;
  waits?: string | undefined;
}

export const backupReports = (pods: readonly LivePod[]): SeenReports => reportsOf(pods, "backup", Report);
/** The same of drills. */
export const drillReports = (pods: readonly LivePod[]): SeenReports<DrillReport> =>
  reportsOf(pods, "drill", DrillReport);

function reportsOf<T>(pods: readonly LivePod[], component: Component, schema: z.ZodType<T>): SeenReports<T> {
  const own = pods.filter(({ metadata }) => metadata.labels?.[labels.component] === component);
  const ended = own
    .flatMap(({ status }) => status?.containerStatuses?.map(({ state }) => state?.terminated) ?? [])
    .filter((each) => each !== undefined)
    .sort((a, b) => (String(a.finishedAt) < String(b.finishedAt) ? 1 : -1));
  const [last] = ended;
  const reports = ended.filter(({ exitCode }) => exitCode === 0).map(({ message }) => read(schema, message));
  return {
    report: reports.find((each) => each !== undefined),
    problem: last && last.exitCode !== 0 ? problemIn(last.message) : undefined,
    waits: own.map(waitOf).find((each) => each !== undefined),
  };
}

/** Each container goes through these. */
const usual = ["ContainerCreating", "PodInitializing"];

function waitOf({ metadata, status }: LivePod): string | undefined {
  if (metadata.deletionTimestamp) return undefined;
  const unscheduled = status?.conditions?.find(({ type, status: is }) => type === "PodScheduled" && is === "False");
  if (unscheduled?.message) return unscheduled.message;
  const waiting = status?.containerStatuses
    ?.map(({ state }) => state?.waiting)
    .find((each) => each?.reason !== undefined && !usual.includes(each.reason));
  return waiting && [waiting.reason, waiting.message].filter(Boolean).join(": ");
}

/** Why a program failed, as it left it. */
export const problemIn = (message: string | undefined): string | undefined => read(Problem, message)?.problem;

function read<T>(schema: z.ZodType<T>, message: string | undefined): T | undefined {
  try {
    return schema.parse(JSON.parse(message ?? ""));
  } catch {
    return undefined;
  }
}
