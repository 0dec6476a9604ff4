/** The log-in at an endpoint failed, or could not be tried; the message says how, without secrets. */
export class LoginError extends Error {}
