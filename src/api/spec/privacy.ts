/** Who answers for a relay. */
import { z } from "zod";
import { line, text } from "../schema.ts";

export const Privacy = z
  .strictObject({
    postal: line({ maxLength: 1000 }).optional().describe("Postal address of who runs the relay."),
    mail: text({
      name: "mail",
      pattern: '^[^@\\s<>"]{1,64}@[^@\\s<>"]{1,255}$',
      says: "an e-mail address such as admin@example.org",
      maxLength: 320,
    })
      .optional()
      .describe("E-mail address of who runs the relay; clients show it as the contact."),
    dataOfficer: line({ maxLength: 1000 }).optional().describe("The data protection officer."),
    supervisor: line({ maxLength: 1000 }).optional().describe("The supervising authority."),
  })
  .describe("Who answers for the relay, for its privacy page.");
