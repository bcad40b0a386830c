Feature: Customers

  Background:
    * url apiUrl
    * def customer = call read('customer.feature')

  Scenario: A customer registers
    Given path 'customers', 'me'
    And header Authorization = customer.token
    When method get
    Then status 200
    And match response contains { email: '#(customer.email)', name: 'Ada' }

  Scenario: An address registers once
    Given path 'customers'
    And request customer.known
    When method post
    Then status 409

  Scenario: A wrong password is refused
    Given path 'tokens'
    And request { email: '#(customer.email)', password: 'not the password' }
    When method post
    Then status 401
    And match response.detail == 'wrong address or password'
