import { randomUUID } from "node:crypto";

export const newCustomer = () => ({ email: `ada.${randomUUID()}@example.com`, name: "Ada", password: "correct horse battery" });

const login = Buffer.from(`${process.env.MAIL_USERNAME}:${process.env.MAIL_PASSWORD}`).toString("base64");

/** The subjects of the mails that an address has got. */
export async function subjects(request, address) {
  const answer = await request.get(`${process.env.MAIL_API_URL}/search`, {
    params: { query: `to:"${address}"` },
    headers: { Authorization: `Basic ${login}` },
  });
  return (await answer.json()).messages.map((mail) => mail.Subject);
}
