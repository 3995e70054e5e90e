/** When the pod is replaced by one of a newer version, and what happens where that fails. */
import * as z from "zod";
import { text } from "../schema.ts";

export const weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] as const;

const Window = z
  .object({
    start: text({
      name: "start",
      pattern: "^([01][0-9]|2[0-3]):[0-5][0-9]$",
      says: "a time such as 02:00",
      maxLength: 5,
    }).describe("When it opens."),
    durationMinutes: z.int().min(10).max(1_440).default(120).describe("For how long it is open, in minutes."),
    timeZone: text({
      name: "timeZone",
      pattern: "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
      says: "a time zone such as Europe/Berlin",
      maxLength: 64,
    })
      .default("UTC")
      .describe("Time zone of start and days."),
    days: z
      .array(z.enum(weekdays))
      .min(1)
      .max(7)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe("Days on which it opens. Default: all."),
  })
  .describe("When upgrades may begin. Edits of the spec are applied at any time.");
export type UpdateWindow = z.output<typeof Window>;

export const UpdatePolicy = z
  .object({
    mode: z
      .enum(["Automatic", "Manual"])
      .default("Automatic")
      .describe(
        "Automatic: a new version of the operator replaces the pod when the server's turn comes. Manual: it waits until the annotation chatmail.dev/update names the revision.",
      ),
    window: Window.optional(),
    progressDeadlineSeconds: z
      .int()
      .min(30)
      .max(86_400)
      .default(300)
      .describe("Seconds within which a pod of a new revision must be ready."),
    onFailure: z
      .enum(["Rollback", "Hold"])
      .default("Rollback")
      .describe(
        "What happens where it is not. Rollback: the last good revision is used again. Hold: the pod stays as it is.",
      ),
  })
  .describe("How the relay pod is replaced.");
