// `envctl env NAME --format karate` prints such a file with the values in it; here they are read when the tests run.
function fn() {
  const env = java.lang.System.getenv();
  karate.configure('retry', { count: 60, interval: 300 });
  return {
    apiUrl: env.get('API_URL'),
    mailUrl: env.get('MAIL_API_URL'),
    mailLogin: 'Basic ' + java.util.Base64.encoder.encodeToString((env.get('MAIL_USERNAME') + ':' + env.get('MAIL_PASSWORD')).getBytes('UTF-8')),
  };
}
