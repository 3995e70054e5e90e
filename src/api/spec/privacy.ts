/** Who answers for a relay. */
import * as z from "zod";
import { line, text } from "../schema.ts";

export const Privacy = z
  .object({
    postal: line({ maxLength: 1000 }).optional().describe("Postal address of the operator of the relay."),
    mail: text({
      name: "mail",
      pattern: '^[^@\\s<>"]{1,64}@[^@\\s<>"]{1,255}$',
      says: "an e-mail address such as admin@example.org",
      maxLength: 320,
    })
      .optional()
      .describe("E-mail address of the operator of the relay. Clients show it as the contact."),
    dataOfficer: line({ maxLength: 1000 }).optional().describe("Data protection officer."),
    supervisor: line({ maxLength: 1000 }).optional().describe("Supervisory authority."),
  })
  .describe("Who is responsible for the relay, for its privacy page.");
