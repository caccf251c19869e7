// @ts-check
/** Starts Swagger UI on a server's API page; the description and all requests go through the console. */

const place = document.getElementById("swagger");
const description = new URL(place?.dataset.description ?? "", document.baseURI).href;

/** What Swagger UI's own script leaves on the page. @type {(options: object) => void} */
const start = Reflect.get(globalThis, "SwaggerUIBundle");
start({
  url: description,
  domNode: place,
  deepLinking: false,
  validatorUrl: null, // nothing is asked of the outside
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
});
