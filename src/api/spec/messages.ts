/** What is taken and how long it is kept. */
import * as z from "zod";
import { notGreater, withRules } from "../rules.ts";
import { size } from "../schema.ts";

export const Messages = withRules(
  z.object({
    maxSize: size({ name: "maxSize", atLeast: "1Mi", atMost: "512Mi" })
      .default("30Mi")
      .describe("Maximum size of a message, such as 30Mi."),
    deleteAfterDays: z
      .int()
      .min(1)
      .max(20)
      .default(20)
      .describe("Days after which a message is deleted. The maximum is 20: a chatmail relay is not an archive."),
    deleteLargeAfterDays: z
      .int()
      .min(1)
      .max(20)
      .default(7)
      .describe("Days after which a seen message of more than 200 kB is deleted."),
  }),
  notGreater("deleteLargeAfterDays", "deleteAfterDays"),
).describe("Size limit and retention of messages.");
