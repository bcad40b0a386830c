Feature: Orders

  Background:
    * url apiUrl
    * def customer = call read('customer.feature')
    * configure headers = { Authorization: '#(customer.token)' }

  Scenario: An order is placed
    Given path 'orders'
    And request { card: 'tok_visa', lines: [{ sku: 'GFT-25', quantity: 1 }] }
    When method post
    Then status 201
    * def placed = response
    Given path 'orders'
    When method get
    Then match response == [ '#(placed)' ]

  Scenario: A declined payment rolls back
    Given path 'products', 'TEA-01'
    When method get
    Then status 200
    * def before = response.stock
    Given path 'orders'
    And request { card: 'tok_declined', lines: [{ sku: 'TEA-01', quantity: 1 }] }
    When method post
    Then status 402
    Given path 'orders'
    When method get
    Then match response == []
    Given path 'products', 'TEA-01'
    When method get
    Then match response.stock == before

  Scenario: The confirmation is mailed
    Given path 'orders'
    And request { card: 'tok_visa', lines: [{ sku: 'GFT-50', quantity: 1 }] }
    When method post
    Then status 201
    * def subject = 'Your order ' + response.id
    # Sent after the order was answered: asked again until it is there.
    * configure headers = { Authorization: '#(mailLogin)' }
    Given url mailUrl
    And path 'search'
    And param query = 'to:"' + customer.email + '"'
    And retry until response.messages.length > 0
    When method get
    Then match response.messages[*].Subject == [ '#(subject)' ]
