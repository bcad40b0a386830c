create table pets (name text);
insert into pets values ('Rex');
